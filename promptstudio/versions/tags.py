"""Annotated git tags: one for a version of a prompt, or one for the whole project.

A prompt's tag is `support/triage@v2.1.0`. Its message says what the version is made of, so that a tag can be read
without this program.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from promptstudio.errors import UsageError
from promptstudio.prompts.snapshot import Snapshot
from promptstudio.prompts.wording import shown
from promptstudio.versions.repo import Repository
from promptstudio.versions.writing import git

# What git-check-ref-format refuses in a name: control characters, space, and ~ ^ : ? * [ \, two dots, @{, .lock, a dot
# at the beginning or end of a part.
_REFUSED = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]+|\.\.+|@\{|\.lock(?=/|$)|(?<![^/])\.|\.(?=/|$)")


def tag_name(prompt: str, version: str) -> str:
    """Return the name of the tag for a version of a prompt; what git does not allow in a name becomes a dash."""
    return f"{_REFUSED.sub('-', prompt)}@v{version}"


def check_tag_name(name: str) -> None:
    """Raise UsageError for a name that git would refuse or take for an option."""
    if name.startswith("-") or _REFUSED.search(name) or name.endswith(("/", ".")) or "//" in name or name in ("", "@"):
        raise UsageError(f"{shown(name)} cannot be the name of a tag", hint="write it as in v1.4.0")


def tag_message(snapshot: Snapshot, changes: Sequence[str]) -> str:
    """Return the message of a prompt's tag: a subject, what changed, and the hashes."""
    identity = snapshot.identity
    lines = [f"{snapshot.name} {snapshot.version}", ""]
    lines += [*(f"- {change}" for change in changes), ""] if changes else []
    lines += [f"File: {snapshot.path.rpartition(':')[2]}", f"Behavior: {identity.behavior}"]
    lines += [f"Interface: {identity.interface}", f"Text: {identity.text}"]
    lines += [f"Variant {name}: {variant.identity.behavior}" for name, variant in sorted(snapshot.variants.items())]
    return "\n".join(lines) + "\n"


def existing_tag(repository: Repository, name: str) -> str | None:
    """Return the commit a tag is on, None where there is no such tag."""
    return repository.ids([f"refs/tags/{name}^{{commit}}"])[0]


def make_tag(repository: Repository, name: str, commit: str, message: str, *, sign: bool = False) -> None:
    """Make an annotated tag, with the user's own git identity and signing. Raises ToolError with what git said."""
    check_tag_name(name)
    kind = "-s" if sign else "-a"
    what = f"the tag {shown(name)} was not made"
    git(repository.top, "tag", kind, "--cleanup=whitespace", "-F", "-", "--", name, commit, what=what, stdin=message)


def newest_tag(repository: Repository, pattern: str, commit: str, *, without: str | None = None) -> str | None:
    """Return the tag nearest before a commit that fits a pattern, leaving out names that hold `without`."""
    listed = repository.read(
        "for-each-ref",
        f"--merged={commit}",
        "--sort=-creatordate",
        "--format=%(refname:strip=2)%00%(*objectname)%00%(objectname)",
        f"refs/tags/{pattern}" if pattern != "*" else "refs/tags",
    )
    for line in listed.decode(errors="surrogateescape").splitlines():
        name, peeled, oid = line.split("\0")
        if (peeled or oid) != commit and not (without and without in name):
            return name
    return None


def release_message(name: str, previous: str | None, changes: Sequence[str], snapshots: Sequence[Snapshot]) -> str:
    """Return the message of a release: what changed since the one before, and every prompt with version and hash."""
    lines = [f"Release {name}", ""]
    if previous is not None:
        lines += [f"Since {previous}:", *(changes or ["nothing changed"]), ""]
    lines += ["Prompts:"]
    rows = sorted((snapshot.name, snapshot.version or "-", snapshot.identity.behavior) for snapshot in snapshots)
    lines += [f"  {prompt} {version} {behavior}" for prompt, version, behavior in rows]
    return "\n".join(lines) + "\n"
