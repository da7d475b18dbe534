"""Paths that requests name: only inside the directories that the configuration allows."""

from collections.abc import Sequence
from pathlib import Path

from dbopsd.security.errors import PathOutsideRoots


def resolve_inside(path: str, roots: Sequence[Path]) -> Path:
    """`path` without symbolic links or `..`, once it is certain to lie inside one of `roots`.

    A relative path is looked up from the first root on. It need not exist, nor need a root. What
    is returned is what must be used: `path` itself could lead elsewhere a moment later. Blocks.
    Raises `PathOutsideRoots`.
    """
    resolved_roots = [root.resolve() for root in roots]
    refused = PathOutsideRoots(path, tuple(str(root) for root in roots))
    if not path.strip() or "\0" in path or not roots:
        raise refused
    try:
        # A path from / on stays what it is.
        resolved = (resolved_roots[0] / path).resolve()
    except (OSError, RuntimeError):  # links in a circle
        raise refused from None
    if not any(resolved.is_relative_to(root) for root in resolved_roots):
        raise refused
    return resolved
