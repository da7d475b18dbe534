"""The newest collections of one database, as the parts of its sampler share them."""

from collections.abc import Callable, Mapping

from dbopsd.metrics.model import Collection, CollectorState
from dbopsd.metrics.server_facts import ServerFacts

Publish = Callable[[Mapping[str, Collection]], None]


class Newest:
    """What the collectors of a database found last. `publish` gets whatever is new."""

    def __init__(self, publish: Publish) -> None:
        self.collections: dict[str, Collection] = {}
        self.server: ServerFacts | None = None
        """What the server last said of itself; None before its first answer."""

        self.runs = 0
        """How often a collector has run."""

        self._publish = publish

    def describe(self, server: ServerFacts) -> None:
        """Take what the server says of itself."""
        self.server = server

    def put(self, found: Mapping[str, Collection]) -> None:
        """Take the place of the collections of these names."""
        if found:
            self.collections.update(found)
            self._publish(found)

    def publish_other(self, found: Mapping[str, Collection]) -> None:
        """Publish collections that are no collector's."""
        self._publish(found)

    def state(self, name: str) -> CollectorState:
        """How a collector does."""
        return self.collections[name].status.state
