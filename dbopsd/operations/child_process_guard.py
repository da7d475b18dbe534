"""Stands between a worker and a program, so that nothing the program starts outlives either.

Run as a script, by `children.py`, as the leader of a session of its own, with the arguments
CONTROL_FD GRACE_S PROGRAM ARGUMENT… The program gets our standard input, output and error as they
are, and we keep none of them. The other end of the socket CONTROL_FD is the worker's alone: once
it is closed, for writing or whole, the program and all that it started is ended. Also what a
program leaves behind that ends by itself. On the socket we say, a line each:

    started PID       the program runs
    failed ERRNO      it cannot be started; nothing follows
    ended STATUS      it has ended (negative: the signal), and so has all that it started

It is a process of its own because

* the kernel hands the orphans of a *subreaper's* descendants to it, a daemon's that left session
  and group included; the worker itself as subreaper could not tell whose they are;
* a worker that dies by `kill -9` does nothing any more, but its sockets are closed;
* `prctl` has to come between fork and exec, and `preexec_fn` runs Python in a fork of a process
  with threads (gRPC has them), which may deadlock there.

Only the standard library, and little of it: every start of a program waits for this one.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_KILL_AGAIN_S = 0.02


def main() -> None:
    """Run the program to its end, or to the worker's."""
    control, grace_s, command = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    os.set_inheritable(control, False)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        os._exit(125)
    bell = _Bell()
    # Should another process of the worker's hold its end of the socket, by a fork without exec.
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if _readable(control, 0):
        return  # the worker died before it all began
    program = _start(command, control, libc)
    if program is not None:
        status = _end(_watch(program, control, bell), program, grace_s, bell)
        _say(control, f"ended {os.waitstatus_to_exitcode(status)}")


class _Bell:
    """Rings when a process of ours ends and when we are asked to, be it before we listen."""

    def __init__(self) -> None:
        self.fd, ringer = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(ringer, False)
        signal.set_wakeup_fd(ringer, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)

    def answer(self) -> bytes:
        """The numbers of the signals that have come."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self.fd, 4096)
        return b""


def _start(command: list[str], control: int, libc: ctypes.CDLL) -> int | None:
    """The program's process id, once it runs; None if it does not."""
    guardian = os.getpid()
    outcome, complaint = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(command, guardian, complaint, libc)
    os.close(complaint)
    # A pipe has its end only once nobody holds the other one any more.
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    failure = os.read(outcome, 16)
    os.close(outcome)
    if failure:
        os.waitpid(pid, 0)
        _say(control, f"failed {failure.decode()}")
        return None
    _say(control, f"started {pid}")
    return pid


def _become(command: list[str], guardian: int, complaint: int, libc: ctypes.CDLL) -> None:
    """Replace this process, just forked, by the program; returns never."""
    # A group of its own: what it sends to its group is not meant for us.
    os.setpgid(0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != guardian:
        os._exit(125)  # killed before prctl: nobody would ever tell us
    # The interpreter ignores these two, and what is ignored or blocked stays so across exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.execvp(command[0], command)  # noqa: S606 # no shell is the point
    except OSError as error:
        os.write(complaint, str(error.errno).encode())
    os._exit(126)


def _watch(program: int, control: int, bell: _Bell) -> int | None:
    """The program's wait status after it has ended; None if it must be ended."""
    while True:
        ready, _, _ = select.select([control, bell.fd], [], [])
        # Before reaping: a process that ends later sends another signal.
        rung = bell.answer()
        status, _ = _reap(program)
        if status is not None or control in ready:
            return status
        if any(number != signal.SIGCHLD for number in rung):
            return None


def _end(status: int | None, program: int, grace_s: float, bell: _Bell) -> int:
    """End every descendant, and return the program's wait status."""
    deadline = time.monotonic() + grace_s
    last, left = _reap(program)
    if left:
        _signal_descendants(signal.SIGTERM)
    while left:
        patience_s = deadline - time.monotonic()
        if patience_s <= 0:
            # Again and again: what is just being forked is found in the next round.
            _signal_descendants(signal.SIGKILL)
            patience_s = _KILL_AGAIN_S
        _readable(bell.fd, patience_s)
        bell.answer()
        status = last if status is None else status
        last, left = _reap(program)
    status = last if status is None else status
    return signal.SIGKILL if status is None else status


def _signal_descendants(number: int) -> None:
    for pid in _descendants():
        # Gone meanwhile, or another account's: what `sudo` starts ends with `sudo`.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _reap(program: int) -> tuple[int | None, bool]:
    """The program's wait status, if it has just ended, and whether any process is left."""
    status = None
    while True:
        try:
            pid, found = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            # Orphans among our descendants become our children: without any, there is nobody.
            return status, False
        if pid == 0:
            return status, True
        if pid == program:
            status = found


def _descendants() -> list[int]:
    """All processes below this one, parents first."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 # pathlib takes as long to import as all else
        if name.isdigit():
            # It may end while we look. Its name, in parentheses, may hold anything.
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:  # noqa: PTH123
                parent = int(stat.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found = list(children.get(os.getpid(), ()))
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _readable(fd: int, timeout_s: float) -> bool:
    return bool(select.select([fd], [], [], timeout_s)[0])


def _say(control: int, line: str) -> None:
    with contextlib.suppress(OSError):  # the worker is gone: nobody listens
        os.write(control, f"{line}\n".encode())


if __name__ == "__main__":
    main()
