"""Why a process that looked into scripts ended before it was done."""

import signal


def reason_of(exit_status: int) -> str:
    """For people. `exit_status`: negative for a signal."""
    if exit_status == -signal.SIGXCPU:
        return "it took too much time on the processor"
    if exit_status < 0:
        return f"it was the end of the process (signal {-exit_status})"
    return f"the process ended with {exit_status}"
