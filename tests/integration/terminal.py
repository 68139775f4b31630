"""A person at a terminal: runs a command at a pseudo-terminal and answers what it asks."""
import os
import pty
import re
import select
import time


def at_terminal(arguments, answers, *, cwd=None, environment=None, timeout=120):
    """(all that the terminal showed, exit status). `answers`: patterns of questions, and what is typed then: a text, or a function of the match and
    all that was shown. Each question is answered as often as it comes."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd or ".")
        os.execve(arguments[0], arguments, environment if environment is not None else dict(os.environ))
    shown, answered, deadline = "", 0, time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:  # it has ended
            break
        shown += data.decode(errors="replace")
        for question, typed in answers:
            match = re.search(question, shown[answered:])
            if match:
                answered += match.end()
                os.write(terminal, ((typed(match, shown) if callable(typed) else typed) + "\n").encode())
    status = os.waitpid(pid, 0)[1]  # before the terminal goes: its end is a signal to who is left
    os.close(terminal)
    return shown, os.waitstatus_to_exitcode(status)
