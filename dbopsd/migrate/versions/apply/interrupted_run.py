"""Where a run ended that was cut off outside a transaction, and what its session had by then."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dbopsd.errors import DbopsError
from dbopsd.migrate.versions.apply.doubtful_statements import Verdict, look_up, what_to_look_at
from dbopsd.migrate.versions.apply.session_state import load
from dbopsd.migrate.versions.apply.statement_kinds import IndexBuild, IndexDrop, SettingChange
from dbopsd.migrate.versions.apply.steps import Step
from dbopsd.migrate.versions.apply.work import Work, interruption, limits_of, script_of
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun
from dbopsd.migrate.versions.plan.plan import PlannedRun
from dbopsd.migrate.versions.sql.excerpt import excerpt
from dbopsd.migrate.versions.sql.positions import place


@dataclass(frozen=True)
class GoingOn:
    """Where to go on: after `done` statements, of which the next one is begun if `in_doubt`."""

    done: int
    in_doubt: bool


async def go_on(
    work: Work,
    planned: PlannedRun,
    steps: list[Step],
    digests: Sequence[str],
    interrupted: LedgerRun,
) -> GoingOn:
    """Find out where a run ended, and set what its statements had set by then.

    `digests`: of the first n statements for each n. What was known of a step goes into `steps`.
    Raises `MigrationInterrupted` where nobody can tell, or what is done is not in the file.
    """
    done = interrupted.statements_done
    if interrupted.direction is Direction.ADOPT or done > len(steps):
        raise interruption(work, planned, interrupted)
    if interrupted.done_digest not in ("", digests[done]):
        raise interruption(work, planned, interrupted, changed=True)
    for index, step in enumerate(steps[:done]):
        if step.makes_session_state:
            doubt = f"what {_named(planned, index, step)} made is gone with its session"
            raise interruption(work, planned, interrupted, doubt=doubt)
    for step in steps[:done]:
        await _set_again(work, planned, step)
    if not interrupted.in_doubt or done == len(steps):
        return GoingOn(done, in_doubt=False)
    if isinstance(kind := steps[done].kind, IndexBuild | IndexDrop):
        known = replace(kind, known=interrupted.indexes_before)
        steps[done] = replace(steps[done], kind=known)
    verdict = await look_up(work.session, steps[done].kind)
    if verdict is Verdict.UNKNOWN:
        raise _nobody_knows(work, planned, interrupted, steps[done])
    is_done = verdict is Verdict.DONE
    return GoingOn(done + is_done, in_doubt=not is_done)


async def _set_again(work: Work, planned: PlannedRun, step: Step) -> None:
    """Do to the session's settings what a statement that is done did."""
    if isinstance(step.kind, SettingChange):
        await work.session.execute_script(script_of(planned, step.statement.text))
    elif step.resets_all:
        await work.session.execute_script(load("reset_settings"))
    else:
        return
    limits = limits_of(work, planned)
    await work.working.keep_settings(planned.script, limits, reset=step.resets_all)


def _nobody_knows(
    work: Work, planned: PlannedRun, interrupted: LedgerRun, step: Step
) -> DbopsError:
    named = _named(planned, interrupted.statements_done, step)
    where = what_to_look_at(step.statement.text, step.kind)
    doubt = f"whether {named} is done nobody can tell: look at {where}"
    return interruption(work, planned, interrupted, doubt=doubt)


def _named(planned: PlannedRun, index: int, step: Step) -> str:
    """A statement by its number, its line and its first words."""
    line, _ = place(planned.script, step.statement.start)
    return f"statement {index + 1} in line {line} ({excerpt(step.statement.text, planned.script)})"
