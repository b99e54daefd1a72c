"""Runs a command on a new pseudo terminal and plays a script against it.

    console.py ROWSxCOLUMNS SCRIPT COMMAND...

A line of the script is one of
    expect REGEX     wait until the output since the last match has this (10 s, times $RT_TEST_SLOW)
    absent REGEX     the output since the last match must not have this
    send TEXT        TEXT with the escapes of Python ("\\n", "\\x03")
    resize RxC       change the window, as a terminal emulator does
    signal NAME      to the command itself
    exit N           wait for the end, which must have this status
Prints what was seen when a line fails. All else is ignored: # comments, empty lines.
"""

import fcntl, os, pty, re, select, signal, struct, sys, termios, time

PATIENCE = 10.0 * float(os.environ.get("RT_TEST_SLOW", 1))


def set_size(fd, text):
    rows, columns = map(int, text.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Console:
    def __init__(self, size, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            set_size(0, size)
            os.execvp(command[0], command)
        self.seen = ""
        self.all = ""

    def read(self, timeout):
        """More output into `seen`; False at its end."""
        if not select.select([self.fd], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: nobody has the terminal open any more
            return False
        text = data.decode(errors="replace")
        self.seen += text
        self.all += text
        return bool(data)

    def expect(self, regex):
        end = time.monotonic() + PATIENCE
        more = True
        while True:
            found = re.search(regex, self.seen, re.M)
            if found:
                self.seen = self.seen[found.end():]
                return
            if not more:
                raise AssertionError(f"the output ended without {regex!r}")
            if time.monotonic() > end:
                raise AssertionError(f"no {regex!r} within {PATIENCE} s")
            more = self.read(0.1)

    def absent(self, regex):
        if re.search(regex, self.seen, re.M):
            raise AssertionError(f"there is {regex!r}")

    def send(self, text):
        os.write(self.fd, text.encode().decode("unicode_escape").encode("latin-1"))

    def resize(self, size):
        set_size(self.fd, size)

    def signal(self, name):
        os.kill(self.pid, getattr(signal, "SIG" + name))

    def exit(self, wanted):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                code = os.waitstatus_to_exitcode(status)
                if code != int(wanted):
                    raise AssertionError(f"exit status {code}, not {wanted}")
                return
        raise AssertionError(f"still there after {PATIENCE} s")


def main():
    size, script, *command = sys.argv[1:]
    console = Console(size, command)
    line = ""
    try:
        for line in script.splitlines():
            verb, _, rest = line.strip().partition(" ")
            if verb and not verb.startswith("#"):
                getattr(console, verb)(rest)
    except AssertionError as err:
        print(f"{line.strip()}: {err}\n--- the terminal showed:\n{console.all}")
        return 1
    finally:
        if console.pid:
            os.kill(console.pid, signal.SIGKILL)
    return 0


sys.exit(main())
