"""The command on a terminal of its own: what it shows there, and what is typed."""

import codecs
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading

from tests.support.patience import eventually_blocking
from tests.unit.client.real_server import CLIENT_PATH

CTRL_C = "\x03"
_COLUMNS = 200
# The terminal is made the process's own, so that Ctrl-C typed there is a signal.
_PROGRAM = (
    "import fcntl, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "from dbops_client.cli import main\n"
    "main()\n"
)


class TerminalSession:
    """A process of the command. Its standard input and error are the terminal, output is a pipe.

    With `shows_output`, output is the terminal, too.
    """

    def __init__(self, *args, columns=_COLUMNS, shows_output=False, **env_of_test):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        unset = ("COLUMNS", "LINES", "NO_COLOR", "DBOPS_TOKEN", "DBOPS_TOKEN_FILE")
        env = {key: value for key, value in os.environ.items() if key not in unset}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *args],
            env={**env, "PYTHONPATH": str(CLIENT_PATH), "TERM": "xterm", **env_of_test},
            stdin=slave,
            stdout=slave if shows_output else subprocess.PIPE,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._shown = ""
        self._looked_at = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text):
        """Wait until `text` is shown; what was shown up to there is not looked at again."""
        start = self._looked_at
        eventually_blocking(
            lambda: self._shown.find(text, start) >= 0, 20, f"{text!r} on the terminal"
        )
        self._looked_at = self._shown.index(text, start) + len(text)

    @property
    def shown(self):
        """All that was shown."""
        return self._shown

    def type(self, text):
        os.write(self._master, text.encode())

    def end(self):
        """Wait for the end: exit code, standard output, and the rest of what was shown."""
        stdout, _ = self._process.communicate(timeout=20)
        self._reader.join(10)
        return self._process.returncode, (stdout or b"").decode(), self._shown[self._looked_at :]

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._reader.join(10)
        os.close(self._master)

    def _read(self):
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        while True:
            try:
                data = os.read(self._master, 4096)
            except OSError:  # the process has closed its side
                return
            if not data:
                return
            self._shown += decoder.decode(data)
