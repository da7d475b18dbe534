"""A program's first instructions: become an account, die with the parent, then be that program.

Run as a script, by `process.py`, with the arguments SIGNAL PARENT_PID UID GID PROGRAM ARGUMENT…
(UID and GID -1: stay as we are; PARENT_PID 0: any). It is a step of its own because

* `prctl(PR_SET_PDEATHSIG)` must come after the change of account, which clears it, and before the
  program; `preexec_fn` would be the place, but it runs Python in a fork of a process with threads
  (gRPC has them) and may deadlock there; `setpriv --pdeathsig` is not on every system;
* this interpreter may lie where the server's account cannot reach it (a venv in /root), so it has
  to be started before the account changes.

Only the standard library, and little of it: every start of a server waits for this one.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Replace this process by the program; returns never."""
    death_signal, parent_pid, uid, gid = (int(argument) for argument in sys.argv[1:5])
    program = sys.argv[5:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        os._exit(125)
    if parent_pid and os.getppid() != parent_pid:
        os._exit(125)  # the parent died before prctl: nobody would ever tell us
    os.umask(0o077)
    # The interpreter ignores these two, and what is ignored stays ignored across exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execv(program[0], program)  # noqa: S606 # no shell is the point
    except OSError as error:
        os.write(2, f"{program[0]}: {error.strerror}\n".encode())
        os._exit(126)


if __name__ == "__main__":
    main()
