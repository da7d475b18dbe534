"""The options of `dbops import`, and the fields of the request that they set."""

from pathlib import Path
from typing import Any

import click

from dbops_client.cli.start_options import given, option_group


def _choice(*values: str) -> click.Choice[str]:
    return click.Choice(values, case_sensitive=False)


database_option = click.option(
    "--database", metavar="DATABASE", required=True, help="The database to import into."
)
optional_database_option = click.option(
    "--database",
    metavar="DATABASE",
    help="The database of the import.  [default: looked up by OPERATION]",
)
max_examples_option = click.option(
    "--max-examples",
    type=click.IntRange(0, 10_000),
    metavar="N",
    help="How many values to name at most for each table. All are counted.  [default: 100]",
)
import_options = option_group(
    click.option("--schema", help="The PostgreSQL schema to import into.  [default: public]"),
    click.option(
        "--mode",
        type=_choice("replace", "append", "upsert"),
        help="What happens to existing rows: all are replaced, all are kept, or those with the "
        "key of an imported row are updated.  [default: replace]",
    ),
    click.option(
        "--delete-missing",
        is_flag=True,
        help="Delete existing rows whose key no imported row has. Needs --mode upsert; not with "
        "--on-bad-rows quarantine.",
    ),
    click.option(
        "--target",
        type=_choice("create", "existing"),
        help="Create the tables, or import into existing ones.  [default: create]",
    ),
    click.option(
        "--table",
        "tables",
        multiple=True,
        metavar="TABLE",
        help="Import only this table. May be repeated.",
    ),
    click.option(
        "--exclude-table",
        "exclude_tables",
        multiple=True,
        metavar="TABLE",
        help="Do not import this table. May be repeated.",
    ),
    click.option(
        "--on-bad-rows",
        "bad_rows",
        type=_choice("fail", "quarantine"),
        help="What happens to rows with a value that PostgreSQL cannot hold: the import finds all "
        "of them and fails, or they are kept in a table of their own.  [default: fail]",
    ),
    click.option(
        "--integrity",
        type=_choice("quick", "full", "off"),
        help="How thoroughly SQLite checks the file first.  [default: quick]",
    ),
    click.option(
        "--names",
        "identifier_case",
        type=_choice("preserve", "lower"),
        help="Keep the case of names, or make them lower case.  [default: preserve]",
    ),
    click.option(
        "--mapping",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="PLAN.toml",
        help="A file on this machine with your changes to the plan. 'dbops import plan --save' "
        "writes one to start from.",
    ),
    max_examples_option,
)


def import_fields(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a plan or an import as the client takes them."""
    options = given(options)
    for name in ("mode", "target", "bad_rows", "integrity", "identifier_case"):
        if name in options:
            options[name] = options[name].upper()
    if "delete_missing" in options and options.get("mode") != "UPSERT":
        raise click.UsageError("--delete-missing needs --mode upsert.")
    if options.get("delete_missing") and options.get("bad_rows") == "QUARANTINE":
        raise click.UsageError(
            "--delete-missing does not go with --on-bad-rows quarantine: it would delete the "
            "existing rows of those in quarantine."
        )
    if "mapping" in options:
        options["mapping"] = _text(options["mapping"])
    return options


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{str(path)!r} cannot be read as text: {error}") from error


def daemon_path(file: str) -> str:
    """Return the absolute path: the working directory of the daemon is another."""
    return str(Path(file).absolute())
