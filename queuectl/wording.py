"""How people say numbers."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: `1 run`, `1,446 runs`; ``many`` where it is not ``one`` with an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
