"""What a client accepts: the weights of RFC 9110 in `Accept` and `Accept-Encoding`."""

from collections.abc import Iterator


def media_weight(header: str, media_type: str, version: str = "") -> float:
    """The weight that `Accept` gives to a media type by its own name, 0 to 1; 0: it has none.

    Of entries for another version only, it has none. Wildcards do not count: who wants a format
    for its sake names it.
    """
    return max(
        (
            weight
            for name, parameters, weight in _entries(header)
            if name == media_type and parameters.get("version", version) == version
        ),
        default=0.0,
    )


def accepts_encoding(header: str, encoding: str) -> bool:
    """Whether `Accept-Encoding` takes it, by name or by `*`."""
    weights = {name: weight for name, _, weight in _entries(header)}
    return weights.get(encoding, weights.get("*", 0.0)) > 0


def _entries(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Each entry's name, its parameters and its weight, 0 for one that is no number from 0 to 1."""
    for entry in header.split(","):
        name, *pairs = (part.strip() for part in entry.split(";"))
        parameters = {}
        for pair in pairs:
            key, _, value = pair.partition("=")
            parameters[key.strip().lower()] = value.strip().strip('"')
        yield name.lower(), parameters, _weight(parameters.pop("q", "1"))


def _weight(text: str) -> float:
    # Three digits are the most that there may be: no "nan", no "1e9".
    if len(text) > 5 or not text.replace(".", "", 1).isdecimal():
        return 0.0
    weight = float(text)
    return weight if weight <= 1 else 0.0
