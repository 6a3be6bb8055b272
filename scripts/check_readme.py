"""Types the commands of README.md into a shell and compares what they print.

Called by check-readme.sh. Blocks of `console` are typed line by line; a comment
`<!-- walk: … -->` before a block (or alone) says what else there is to do:

    server            the block starts a server, which goes on running
    stop              the servers are stopped, as by Ctrl-C
    person …          what a person does in the browser: see approver.py
    python            the block is a Python program

What changes from run to run (ids, times, keys, hashes) is compared by its form,
and a value that README.md shows is replaced, in later commands, by the value
that took its place in this run.
"""

import argparse
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PASSWORD = "correct horse battery"
PATIENCE = 60

VOLATILE = re.compile(
    r"(?P<key>ed25519/[0-9a-f]{64})"
    r"|(?P<hash>\b(?:[0-9a-f]{128}|[0-9a-f]{64})\b)"
    r"|(?P<id>\b(?:ses|apr)_[0-9a-f]{32}\b)"
    r"|(?P<time>\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"
    r"|(?P<code>\b[A-Z0-9]{4}-[A-Z0-9]{4}\b)"
    r"|(?P<link>/setup/[A-Za-z0-9_-]{20,})"
    r'|(?P<micros>"micros":\d+)'
    r"|(?P<count>\b\d+ lines\b)"
)


def form(line):
    """The line with its volatile parts replaced by what they are."""
    return VOLATILE.sub(lambda match: f"<{match.lastgroup}>", line.rstrip())


class Block:
    """A fenced block of README.md, or a comment that stands alone."""

    def __init__(self, language, lines, walk, start):
        self.language, self.lines, self.walk, self.start = language, lines, walk, start

    def steps(self):
        """Commands with the lines they are shown to print."""
        steps, continued = [], False
        for line in self.lines:
            if continued:
                steps[-1][0] += "\n" + line
            elif line.startswith("$ "):
                steps.append([line[2:], []])
            else:
                steps[-1][1].append(line)
                continue
            continued = line.endswith("\\")
        return steps


def blocks(text):
    lines = text.split("\n")
    walk, position = [], 0
    while position < len(lines):
        line = lines[position]
        comment = re.fullmatch(r"<!-- walk: (.*) -->", line)
        if comment:
            walk.append(comment.group(1))
        elif line.startswith("```") and line != "```":
            end = lines.index("```", position + 1)
            yield Block(line[3:], lines[position + 1 : end], walk, position + 1)
            walk, position = [], end
        elif line.strip() and walk:
            yield Block(None, [], walk, position)
            walk = []
        position += 1


class Shell:
    """One shell for all commands, so that an `export` lasts."""

    MARK = "\x1e"

    def __init__(self, directory, environment):
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        self._unread = ""

    def type(self, command, meanwhile=None):
        """Types a command and returns what it printed. `meanwhile` sees the
        output so far, and returns true once it has nothing more to do."""
        # The status is put back, because the next command may ask for it.
        script = f"{command}\n(s=$?; printf '{self.MARK}'; exit $s)\n"
        self.process.stdin.write(script.encode())
        self.process.stdin.flush()
        deadline = time.monotonic() + PATIENCE
        while self.MARK not in self._unread:
            if time.monotonic() > deadline:
                sys.exit(f"no end of `{command}` in {PATIENCE} s; so far:\n{self._unread}")
            select.select([self.process.stdout], [], [], 0.1)
            self._unread += (self.process.stdout.read() or b"").decode()
            if meanwhile and meanwhile(self._unread):
                meanwhile = None
        printed, _, self._unread = self._unread.partition(self.MARK)
        return printed

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=PATIENCE)


class Walk:
    def __init__(self, binary, python, directory, ports):
        self.python, self.directory = python, directory
        self.issuer, self.gateway = (f"127.0.0.1:{port}" for port in ports)
        self.values, self.printed, self.servers = {}, "", []
        target = directory / "target" / "release"
        target.mkdir(parents=True)
        (target / "bailiwick").symlink_to(binary)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("BAILIWICK_")
        }
        environment |= {
            "BAILIWICK_ISSUER": f"http://{self.issuer}",
            "BAILIWICK_SERVER": f"http://{self.gateway}",
            "LC_ALL": "C.UTF-8",
        }
        self.environment = environment
        self.shell = Shell(directory, environment)

    def localised(self, command):
        """The command as it has to be typed in this run."""
        for shown, value in self.values.items():
            command = command.replace(shown, value)
        return command.replace("127.0.0.1:8400", self.issuer).replace("127.0.0.1:8401", self.gateway)

    def normalised(self, printed):
        """What was printed, as it would be with the usual ports."""
        for usual, port in (("127.0.0.1:8400", self.issuer), ("127.0.0.1:8401", self.gateway)):
            printed = printed.replace(port, usual)
        # Only named because the port is not the usual one.
        return printed.replace(" --server http://127.0.0.1:8401", "")

    def learn(self, shown, printed):
        for was, now in zip(shown, printed):
            if form(was) == form(now):
                for old, new in zip(VOLATILE.finditer(was), VOLATILE.finditer(now)):
                    self.values[old.group()] = new.group()

    def run(self, block):
        """Does what the block says; returns the steps with what they printed."""
        person = None
        done = []
        for walk in block.walk:
            if walk == "stop":
                self.stop()
            elif walk.startswith("person "):
                person = walk.split()[1:]
        if block.language is None:
            if person:
                self.person(person, self.printed)
            return None
        if "python" in block.walk:
            self.program(block)
            return None
        steps = block.steps()
        for index, (command, shown) in enumerate(steps):
            last = index == len(steps) - 1
            typed = self.localised(command)
            if "server" in block.walk and last:
                printed = self.serve(typed, len(shown))
            else:
                printed = self.shell.type(typed, self.acting(person) if person and last else None)
            lines = self.normalised(printed).rstrip("\n")
            lines = [line.rstrip() for line in lines.split("\n")] if lines else []
            self.learn(shown, lines)
            done.append((command, shown, lines))
        return done

    def acting(self, person):
        """Acts as soon as the output shows where."""

        def act(printed):
            if "\nand compare" not in printed:
                return False
            self.person(person, printed)
            return True

        return act

    def person(self, words, printed):
        action, *rest = words
        wanted = "/setup/" if action == "setup" else "/approve?"
        (link,) = [word for word in printed.split() if wanted in word]
        if action == "setup":
            rest = [*rest, PASSWORD]
        jar = self.directory / ".cookies"
        approver = [self.python, ROOT / "scripts" / "approver.py", jar, action, link, *rest]
        subprocess.run(approver, env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def program(self, block):
        source = self.localised("\n".join(block.lines))
        subprocess.run(
            [self.python, "-"], input=source.encode(), cwd=self.directory, check=True
        )

    def serve(self, command, lines):
        flags = {
            "up": f" --issuer {self.issuer} --gateway {self.gateway}",
            "issuer": f" --listen {self.issuer} --gateway-url http://{self.gateway}",
            "gateway": f" --listen {self.gateway}",
        }
        command = command.replace("cargo run --release -- ", "target/release/bailiwick ")
        role = command.split()[1]
        program = "target/release/" if command.startswith("bailiwick") else ""
        server = subprocess.Popen(
            ["bash", "-c", f"exec {program}{command}{flags[role]}"],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=(self.directory / f"{role}.log").open("ab"),
        )
        self.servers.append(server)
        os.set_blocking(server.stdout.fileno(), False)
        deadline, quiet, printed = time.monotonic() + PATIENCE, 0, ""
        # As long as was shown, and then until nothing more comes.
        while quiet < 3 or not printed or printed.count("\n") < lines:
            ready, _, _ = select.select([server.stdout], [], [], 0.1)
            more = (server.stdout.read() or b"").decode() if ready else ""
            quiet = 0 if more else quiet + 1
            printed += more
            if time.monotonic() > deadline or server.poll() is not None:
                log = (self.directory / f"{role}.log").read_text()
                sys.exit(f"`{command}` did not start; it said:\n{printed}{log}")
        self.printed = printed
        return printed

    def stop(self):
        for server in reversed(self.servers):
            server.send_signal(signal.SIGINT)
            if server.wait(timeout=PATIENCE) != 0:
                sys.exit(f"a server ended with {server.returncode}")
        self.servers = []

    def abandon(self):
        for server in self.servers:
            if server.poll() is None:
                server.kill()
                server.wait()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def differences(step):
    command, shown, printed = step
    if [form(line) for line in shown] == [form(line) for line in printed]:
        return
    print(f"$ {command}\n  README.md shows:")
    print("\n".join(f"    {line}" for line in shown))
    print("  it prints:")
    print("\n".join(f"    {line}" for line in printed))
    return True


def main():
    parser = argparse.ArgumentParser(description="checks README.md")
    parser.add_argument("--binary", required=True, type=pathlib.Path)
    parser.add_argument("--update", action="store_true", help="write the outputs into README.md")
    arguments = parser.parse_args()
    text = README.read_text()
    ports = (8400, 8401) if arguments.update else free_ports(2)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bailiwick-readme-"))
    walk = Walk(arguments.binary.resolve(), sys.executable, directory, ports)
    edits, count, wrong = [], 0, 0
    try:
        for block in blocks(text):
            if block.language not in (None, "console") and not block.walk:
                continue
            steps = walk.run(block)
            for step in steps or []:
                count += 1
                wrong += bool(differences(step))
            if steps:
                edits.append((block, steps))
        walk.stop()
        walk.shell.end()
    finally:
        walk.abandon()
        shutil.rmtree(directory)
    if arguments.update:
        update(text, edits, walk.values)
        return
    print(f"README.md: {count - wrong} commands print what it shows, {wrong} do not")
    sys.exit(wrong > 0)


def update(text, edits, values):
    lines = text.split("\n")
    for block, steps in reversed(edits):
        new = []
        for command, _, printed in steps:
            new += [f"$ {command}", *printed]
        lines[block.start : block.start + len(block.lines)] = "\n".join(new).split("\n")
    text = "\n".join(lines)
    for shown, value in values.items():
        text = text.replace(shown, value)
    README.write_text(text)


main()
