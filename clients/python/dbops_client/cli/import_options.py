"""The options of `dbops import`, and what becomes of what was said with them."""

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
    help="The database that was imported into.  [default: that of the import]",
)
max_examples_option = click.option(
    "--max-examples",
    type=click.IntRange(0, 10_000),
    metavar="N",
    help="How many values to name at most, of each table; all are counted.  [default: 100]",
)
import_options = option_group(
    click.option("--schema", help="The PostgreSQL schema to import into.  [default: public]"),
    click.option(
        "--mode",
        type=_choice("replace", "append", "upsert"),
        help="What becomes of rows that are there: they give way, stay, or give way to those "
        "with the same key.  [default: replace]",
    ),
    click.option(
        "--delete-missing",
        is_flag=True,
        help="Delete rows whose key no imported row has; with --mode upsert, not with quarantine.",
    ),
    click.option(
        "--target",
        type=_choice("create", "existing"),
        help="Whether the import makes the tables, or finds them there.  [default: create]",
    ),
    click.option(
        "--table",
        "tables",
        multiple=True,
        metavar="TABLE",
        help="Carry this table, and no other that is not named so too. May be repeated.",
    ),
    click.option(
        "--exclude-table",
        "exclude_tables",
        multiple=True,
        metavar="TABLE",
        help="Do not carry this table. May be repeated.",
    ),
    click.option(
        "--on-bad-rows",
        "bad_rows",
        type=_choice("fail", "quarantine"),
        help="What becomes of rows with a value that PostgreSQL cannot hold: the import fails "
        "once it has found all of them, or they are kept apart.  [default: fail]",
    ),
    click.option(
        "--integrity",
        type=_choice("quick", "full", "off"),
        help="How closely SQLite checks the file first.  [default: quick]",
    ),
    click.option(
        "--names",
        "identifier_case",
        type=_choice("preserve", "lower"),
        help="Whether names keep their capitals.  [default: preserve]",
    ),
    click.option(
        "--mapping",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="PLAN.toml",
        help="A file of this machine that says what is to be done otherwise than planned; "
        "'dbops import plan --save' writes one.",
    ),
    max_examples_option,
)


def import_fields(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a plan or an import as the client takes them."""
    options = given(asked)
    for name in ("mode", "target", "bad_rows", "integrity", "identifier_case"):
        if name in options:
            options[name] = options[name].upper()
    if "delete_missing" in options and options.get("mode") != "UPSERT":
        raise click.UsageError("--delete-missing goes with --mode upsert only.")
    if options.get("delete_missing") and options.get("bad_rows") == "QUARANTINE":
        raise click.UsageError(
            "--delete-missing does not go with --on-bad-rows quarantine: it would delete the rows "
            "whose new values are kept apart."
        )
    if "mapping" in options:
        options["mapping"] = _text(options["mapping"])
    return options


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{str(path)!r} cannot be read as a text: {error}") from error


def daemon_path(file: str) -> str:
    """Return the path for the daemon, whose working directory is another."""
    return str(Path(file).absolute())
