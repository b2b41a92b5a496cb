"""The figures and pictures of the README and of ``docs/``, from the commands that the pages show.

Run: ``python tests/benchmarks/readme.py quickstart`` or ``… cifar --data DIR --labels FILE``. Each runs the commands in
``--into FOLDER`` (finished runs that lie there are not made again), and writes what they print between the marks of the
page that shows it. Where Chromium is installed, a picture of the leaderboard's page is written too.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOP = 8  # rows of a table that the README shows
SHOWN = ("rank", "detector", "AUROC", "extra passes", "variants × seeds")


def main() -> None:
    """Write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("quickstart", "cifar"))
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="where the commands run; a temporary folder else")
    parser.add_argument("--data", metavar="DIR", help="of CIFAR-10, where it is not to be downloaded")
    parser.add_argument("--labels", metavar="FILE", help="CIFAR-10_human.pt, where it is not to be downloaded")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.into or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if given.what == "quickstart":
            quickstart(folder)
        else:
            cifar(folder, given.data, given.labels)


def quickstart(folder: Path) -> None:
    """What the quick start prints, whole in its page and the first rows in the README, and a picture."""
    printed = run("quickstart", folder=folder)
    write_between(ROOT / "docs/quickstart.md", "quickstart", f"```text\n{printed}```")
    table = run("leaderboard", "noisybench-quickstart/runs", "--format", "markdown", folder=folder)
    write_between(ROOT / "README.md", "quickstart", first_rows(table))
    take_picture(folder, "noisybench-quickstart/runs", ROOT / "docs/quickstart.png")


def cifar(folder: Path, data: str | None, labels: str | None) -> None:
    """The tables of the page on CIFAR-10N, from the commands that it shows, and a picture."""
    page = ROOT / "docs/cifar-10n.md"
    commands = re.search(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)[1]  # type: ignore[index]
    tables = []
    for line in commands.splitlines():
        _, verb, *words = shlex.split(line)
        if data and verb in ("build", "evaluate"):
            words += ["--data", data]
        if labels and verb == "build":
            words += ["--set", f"file={labels}"]
        printed = run(verb, *words, folder=folder)
        if verb == "leaderboard":
            tables.append(printed)
    write_between(page, "cifar", "\n".join(tables).rstrip("\n"))
    take_picture(folder, "runs", ROOT / "docs/cifar-10n.png")


def run(verb: str, *words: str, folder: Path) -> str:
    """What a command prints in a folder; what it says beside goes to the terminal."""
    found = [
        path for word in words for path in (sorted(str(at) for at in folder.glob(word)) if "*" in word else [word])
    ]
    command = [sys.executable, "-m", "noisybench", verb, *found]
    print("$", shlex.join(command[2:]), file=sys.stderr, flush=True)
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.replace(f"{folder}{os.sep}", "")


def first_rows(table: str) -> str:
    """The first rows of the Markdown table of a text, in the columns that say most."""
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines() if line[:1] == "|"]
    at = [lines[0].index(name) for name in SHOWN]
    return "\n".join("| " + " | ".join(line[i] for i in at) + " |" for line in lines[: TOP + 2])


def write_between(page: Path, mark: str, text: str) -> None:
    """Put a text between the two marks of a page.

    Raises:
        SystemExit: The page has no such marks.
    """
    begin, end = f"<!-- {mark}: begin -->\n", f"<!-- {mark}: end -->"
    old = page.read_text(encoding="utf-8")
    if begin not in old or end not in old:
        sys.exit(f"{page} has no {begin.strip()}")
    head, _, rest = old.partition(begin)
    page.write_text(f"{head}{begin}{text}\n{end}{rest.partition(end)[2]}", encoding="utf-8")
    print(f"wrote {page.relative_to(ROOT)}", file=sys.stderr)


def take_picture(folder: Path, runs: str, picture: Path) -> None:
    """A picture of the page of some runs, as a browser shows its beginning."""
    run("leaderboard", runs, "--format", "html", "--to", "leaderboard.html", folder=folder)
    sys.path.insert(0, str(ROOT / "tests"))
    from browser import chromium

    with chromium() as browser:
        browser.show(folder / "leaderboard.html", (1200, 900))
        browser.driver.save_screenshot(str(picture))
    print(f"wrote {picture.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
