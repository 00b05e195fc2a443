#!/usr/bin/env python3
"""Talks to a rust-analyzer as an editor does, and holds it to the scenarios beside this file.

    probe.py                         every scenario of scenarios.json
    probe.py --prefixes              every prefix of the two gateways, cut at each token: at most one error of the macro, on its last line
    probe.py --latency 100 1000      milliseconds a keystroke in gateways of so many routes

The server is `rust-analyzer` on the `PATH`, or what RUST_ANALYZER names. It does not run `cargo check`: what it shows is what
an editor shows while one types. The program ends with status 1 if an expectation does not hold.
"""

import argparse
import itertools
import json
import os
import pathlib
import queue
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE / "project"
PATIENCE = 600
CAPABILITIES = {
    "experimental": {"serverStatusNotification": True},
    "general": {"positionEncodings": ["utf-8"]},
    "textDocument": {
        "completion": {"completionItem": {"snippetSupport": False}},
        "definition": {"linkSupport": False},
        "diagnostic": {"dynamicRegistration": False, "relatedDocumentSupport": True},
        "hover": {"contentFormat": ["markdown"]},
        "semanticTokens": {
            "requests": {"full": True},
            "tokenTypes": [],
            "tokenModifiers": [],
            "formats": ["relative"],
        },
    },
    "window": {"workDoneProgress": True},
    "workspace": {"configuration": True},
}
OPTIONS = {
    "checkOnSave": False,
    "cachePriming": {"enable": False},
    "completion": {"limit": None},
    "files": {"watcher": "server"},
    "semanticHighlighting": {"strings": {"enable": True}},
}


class Analyzer:
    """A rust-analyzer that has read one cargo project."""

    def __init__(self, root):
        self.root = root
        self.numbers = itertools.count(1)
        self.answers = queue.Queue()
        self.quiet = threading.Event()
        self.versions = {}
        program = os.environ.get("RUST_ANALYZER", "rust-analyzer")
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self.legend = self.ask(
            "initialize",
            processId=os.getpid(),
            rootUri=root.as_uri(),
            capabilities=CAPABILITIES,
            initializationOptions=OPTIONS,
        )["capabilities"]["semanticTokensProvider"]["legend"]["tokenTypes"]
        self._send({"method": "initialized", "params": {}})
        if not self.quiet.wait(PATIENCE):
            raise SystemExit("rust-analyzer has not come to rest")

    def _listen(self):
        stream = self.process.stdout
        while True:
            length = 0
            while (line := stream.readline().strip()) or not length:
                if not line:
                    self.answers.put(None)
                    return
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            message = json.loads(stream.read(length))
            if "method" not in message:
                self.answers.put(message)
            elif "id" in message:
                # It asks for its configuration, or for leave to show progress.
                items = message.get("params", {}).get("items")
                self._send({"id": message["id"], "result": [OPTIONS for _ in items] if items else None})
            elif message["method"] == "experimental/serverStatus" and message["params"]["quiescent"]:
                self.quiet.set()

    def _send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def tell(self, method, **params):
        """A notification."""
        self._send({"method": method, "params": params} if params else {"method": method})

    def ask(self, method, **params):
        """A request, and its result; one that another change has made void is made again."""
        for _ in range(20):
            number = next(self.numbers)
            self._send({"id": number, "method": method, **({"params": params} if params else {})})
            while True:
                answer = self.answers.get(timeout=PATIENCE)
                if answer is None:
                    raise SystemExit(f"rust-analyzer ended during {method}")
                if answer.get("id") == number:
                    break
            error = answer.get("error")
            if error is None:
                return answer["result"]
            # ContentModified, ServerCancelled, RequestCancelled.
            if error["code"] not in (-32801, -32802, -32800):
                raise SystemExit(f"{method}: {error['message']}")
            time.sleep(0.05)
        raise SystemExit(f"{method}: cancelled again and again")

    def show(self, path, text):
        """Opens a file with this text, or changes it to this text; nothing is saved."""
        uri = path.as_uri()
        version = self.versions[uri] = self.versions.get(uri, 0) + 1
        if version == 1:
            item = {"uri": uri, "languageId": "rust", "version": 1, "text": text}
            self.tell("textDocument/didOpen", textDocument=item)
        else:
            changes = [{"text": text}]
            self.tell("textDocument/didChange", textDocument={"uri": uri, "version": version}, contentChanges=changes)

    def about(self, what, path, **params):
        """A request about one file."""
        return self.ask(f"textDocument/{what}", textDocument={"uri": path.as_uri()}, **params)

    def problems(self, path, text):
        """The errors of a file: their messages, the text that is marked, and the line."""
        lines = text.encode().split(b"\n")
        found = []
        for item in self.about("diagnostic", path).get("items", []):
            if item.get("severity", 1) > 2:
                continue
            start, end = item["range"]["start"], item["range"]["end"]
            if start["line"] == end["line"]:
                marked = lines[start["line"]][start["character"] : end["character"]].decode()
            else:
                marked = lines[start["line"]][start["character"] :].decode()
            found.append((item["message"], marked, start["line"] + 1, item.get("code")))
        return found

    def end(self):
        """Ends the server."""
        self.ask("shutdown")
        self.tell("exit")
        self.process.wait(timeout=60)


def caret(text, at):
    """The text with `at` found in it, and the position of the `|` in `at`."""
    plain = at.replace("|", "", 1)
    offset = text.index(plain) + at.index("|")
    before = text[:offset]
    column = len(before.rsplit("\n", 1)[-1].encode())
    return {"line": before.count("\n"), "character": column}


def places(root, locations):
    """Locations as `file.rs:LINE:`."""
    return [f"{pathlib.PurePosixPath(item['uri']).name}:{item['range']['start']['line'] + 1}:" for item in locations or []]


class Scenario:
    """One scenario, tried on a file that may have been edited before."""

    def __init__(self, analyzer, told, texts):
        self.analyzer, self.told, self.texts = analyzer, told, texts
        self.path = PROJECT / told["file"]
        self.wrong = []

    def run(self):
        """What does not hold, as sentences."""
        original = self.path.read_text()
        text, position = original, None
        for old, new in self.told.get("edit", []):
            if old not in text:
                return [f"there is no {old!r} in the file"]
            # Where only errors are asked for there is no caret, and a `|` is that of a closure.
            if "|" in new and "|" not in old and self.told["op"] != ["diagnostics"]:
                offset = text.index(old) + new.index("|")
                text = text.replace(old, new.replace("|", "", 1), 1)
                before = text[:offset]
                position = {"line": before.count("\n"), "character": len(before.rsplit("\n", 1)[-1].encode())}
            else:
                text = text.replace(old, new, 1)
        if "at" in self.told:
            position = caret(text, self.told["at"])
        if self.texts.get(self.path) != text:
            self.analyzer.show(self.path, text)
            self.texts[self.path] = text
        for what in self.told["op"]:
            getattr(self, what)(text, position)
        return self.wrong

    def hold(self, holds, sentence):
        if not holds:
            self.wrong.append(sentence)

    def diagnostics(self, text, _):
        expect = self.told["expect"]
        found = self.analyzer.problems(self.path, text)
        if expect.get("no_diagnostics"):
            self.hold(not found, f"no diagnostics, found {found}")
        for one in expect.get("diagnostics", []):
            message, *marked = [one] if isinstance(one, str) else one
            self.hold(
                any(message in says and all(part in token for part in marked) for says, token, _, _ in found),
                f"{message!r} at {marked!r}, found {found}",
            )
        if "diagnostics_count" in expect:
            self.hold(len(found) == expect["diagnostics_count"], f"{expect['diagnostics_count']} diagnostics, found {found}")

    def hover(self, _, position):
        answer = self.analyzer.about("hover", self.path, position=position)
        shown = answer["contents"]["value"] if answer else ""
        for part in self.told["expect"]["hover"]:
            self.hold(part in shown, f"{part!r} in the hover, found {shown!r}")

    def completion(self, text, position):
        line = text.encode().split(b"\n")[position["line"]][: position["character"]].decode()
        typed = re.search(r"\w*$", line)[0]
        answer = self.analyzer.about("completion", self.path, position=position) or []
        items = answer["items"] if isinstance(answer, dict) else answer
        items.sort(key=lambda item: item.get("sortText") or item["label"])
        names = [re.split(r"[^\w!-]", item["label"])[0] or item["label"] for item in items]
        # An editor shows what holds the letters that are typed, in their order; a capital letter is meant.
        loose = re.compile(".*".join(map(re.escape, typed)), re.IGNORECASE if typed.islower() else 0)
        names = [name for name in names if loose.search(name)]
        best = names[: self.told.get("top", len(names))]
        for name in self.told["expect"].get("completion", []):
            self.hold(name in best, f"{name!r} is completed, found {best[:40]}")
        for name in self.told["expect"].get("completion_not", []):
            self.hold(name not in best, f"{name!r} is not completed")

    def definition(self, _, position):
        found = places(PROJECT, self.analyzer.about("definition", self.path, position=position))
        for place in self.told["expect"]["definition"]:
            self.hold(any(place + ":" in item for item in found), f"defined at {place}, found {found}")

    def references(self, _, position):
        context = {"includeDeclaration": True}
        found = places(PROJECT, self.analyzer.about("references", self.path, position=position, context=context))
        for place in self.told["expect"]["references"]:
            self.hold(place in found, f"named at {place}, found {found}")

    def rename(self, _, position):
        answer = self.analyzer.about("rename", self.path, position=position, newName="renamed") or {}
        changes = [(item["textDocument"]["uri"], item["edits"]) for item in answer.get("documentChanges", [])]
        changes += list(answer.get("changes", {}).items())
        found = [
            f"{pathlib.PurePosixPath(uri).name}:{edit['range']['start']['line'] + 1}:" for uri, edits in changes for edit in edits
        ]
        for place in self.told["expect"]["rename"]:
            self.hold(place in found, f"renamed at {place}, found {found}")

    def tokens(self, text, _):
        data = self.analyzer.about("semanticTokens/full", self.path)["data"]
        lines, line, column, found = text.encode().split(b"\n"), 0, 0, []
        for delta, start, length, kind, _ in zip(*[iter(data)] * 5):
            line, column = (line + delta, start) if delta else (line, column + start)
            found.append([lines[line][column : column + length].decode(), self.analyzer.legend[kind]])
        for pair in self.told["expect"]["tokens"]:
            self.hold(pair in found, f"{pair[0]!r} is a {pair[1]}, found {[kind for name, kind in found if name == pair[0]]}")


def scenarios(path):
    """Tries every scenario; the number of those that do not hold."""
    analyzer, texts, failed = Analyzer(PROJECT), {}, 0
    told = json.loads(path.read_text())
    for one in told:
        wrong = Scenario(analyzer, one, texts).run()
        failed += bool(wrong)
        for sentence in wrong:
            print(f"{one['name']}: expected {sentence}", flush=True)
    analyzer.end()
    print(f"{len(told) - failed} of {len(told)} scenarios hold")
    return failed


TOKEN = re.compile(
    r"""\s*(?://[^\n]*|/\*.*?\*/|r?"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'|[A-Za-z_][A-Za-z0-9_]*|[0-9][A-Za-z0-9_.]*|=>|->|::|[^\s])""",
    re.DOTALL,
)
CLOSERS = {"{": "}", "[": "]", "(": ")"}


def prefixes(text):
    """Each prefix of the gateway in a source, closed as an editor closes brackets, with the line of its last token."""
    start = text.index("gateway! {") + len("gateway! {")
    depth, end = 1, start
    for token in TOKEN.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(token[0].strip(), 0)
        end = token.start()
        if not depth:
            break
    rest = text[end:]
    # `let` around the expression's form has its end there; what is before a comment is a prefix already.
    opened, cuts = [], [(start, [])]
    for token in TOKEN.finditer(text, start, end):
        word = token[0].strip()
        if word.startswith("//"):
            continue
        if word in CLOSERS:
            opened.append(CLOSERS[word])
        elif opened and word == opened[-1]:
            opened.pop()
        cuts.append((token.end(), list(opened)))
    for cut, closers in cuts:
        kept = text[:cut]
        yield kept + "".join(reversed(closers)) + rest, kept.count("\n") + 1


def cut(every):
    """Shows each prefix of the gateways; the number of prefixes that show more than they should."""
    analyzer, failed, tried = Analyzer(PROJECT), 0, 0
    for name in ("main.rs", "shop.rs"):
        path = PROJECT / "src" / name
        original = path.read_text()
        for text, line in itertools.islice(prefixes(original), 0, None, every):
            analyzer.show(path, text)
            found = analyzer.problems(path, text)
            tried += 1
            # What a half-typed expression lacks, Rust's own check says beside it.
            ours = [problem for problem in found if problem[3] == "macro-error"]
            elsewhere = [problem for problem in found if problem[2] < line - 1]
            if len(ours) > 1 or elsewhere:
                failed += 1
                shown = text.split("\n")[line - 1].strip()
                print(f"{name}:{line}: `{shown}`: {[(says, token, at) for says, token, at, _ in found]}", flush=True)
        analyzer.show(path, original)
    analyzer.end()
    print(f"{tried - failed} of {tried} prefixes show at most one error of the macro, on their last line")
    return failed


def latency(counts, rounds):
    """Prints what a keystroke costs in gateways of so many routes."""
    sys.path.insert(0, str(HERE.parent / "peers"))
    import compile as shapes
    import github

    print("| routes | completion, ms | diagnostics, ms |\n|---:|---:|---:|")
    for count in counts:
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            (root / "src").mkdir()
            manifest = (PROJECT / "Cargo.toml").read_text().replace("../../../prox", str(github.REPOSITORY / "prox"))
            (root / "Cargo.toml").write_text(manifest)
            path = root / "src" / "main.rs"
            text = shapes.source(github.routes(count), False)
            path.write_text(text)
            analyzer = Analyzer(root)
            analyzer.show(path, text)
            analyzer.problems(path, text)
            marker = "    GET \"/gists/{id}\" => "
            offset = text.index(marker) + len(marker) if marker in text else text.index(" => backend") + 4
            spent = {"completion": [], "diagnostics": []}
            for number in range(rounds):
                # One more letter of a target at each keystroke.
                typed = text[:offset] + "backend_"[: number % 8 + 1] + text[text.index(",", offset) :]
                before = typed[: offset + number % 8 + 1]
                position = {"line": before.count("\n"), "character": len(before.rsplit("\n", 1)[-1])}
                analyzer.show(path, typed)
                begun = time.monotonic()
                analyzer.about("completion", path, position=position)
                spent["completion"].append(time.monotonic() - begun)
                analyzer.show(path, text[:offset] + "backend_billing" + " " * number + text[text.index(",", offset) :])
                begun = time.monotonic()
                analyzer.problems(path, text)
                spent["diagnostics"].append(time.monotonic() - begun)
            analyzer.end()
        cells = [f"{statistics.median(times) * 1e3:.0f} ({min(times) * 1e3:.0f}-{max(times) * 1e3:.0f})" for times in spent.values()]
        print(f"| {count} | {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenarios", type=pathlib.Path, default=HERE / "scenarios.json", help="the file of scenarios")
    parser.add_argument("--prefixes", action="store_true", help="shows each prefix of the gateways instead")
    parser.add_argument("--every", type=int, default=1, help="takes each n-th prefix only (1)")
    parser.add_argument("--latency", type=int, nargs="+", metavar="ROUTES", help="measures keystrokes instead")
    parser.add_argument("--rounds", type=int, default=16, help="keystrokes that are measured (16)")
    options = parser.parse_args()
    if options.latency:
        latency(options.latency, options.rounds)
        return 0
    return int(bool(cut(options.every) if options.prefixes else scenarios(options.scenarios)))


if __name__ == "__main__":
    sys.exit(main())
