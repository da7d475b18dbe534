"""Samples, snapshots and descriptors as messages of the contract."""

from collections.abc import Iterable
from typing import Final

from dbops.v1 import metrics_pb2

from dbopsd.metrics.descriptors import Descriptor
from dbopsd.metrics.hub import Update, changed_samples
from dbopsd.metrics.model import CollectorState, CollectorStatus, MetricType, Sample, Snapshot
from dbopsd.rpc.codec_values import enum_numbers
from dbopsd.rpc.encode import resource_name
from dbopsd.rpc.times import duration, timestamp

TYPES: Final = enum_numbers(MetricType, metrics_pb2.MetricType.DESCRIPTOR)
STATES: Final = enum_numbers(CollectorState, metrics_pb2.CollectorStatus.State.DESCRIPTOR)


def encode_descriptor(descriptor: Descriptor) -> metrics_pb2.MetricDescriptor:
    """What a metric means, and whether this database has it."""
    metric, status = descriptor.metric, descriptor.status
    return metrics_pb2.MetricDescriptor(
        metric=metric.name,
        type=TYPES[metric.type],
        unit=metric.unit,
        help=metric.help,
        labels=metric.labels,
        collector=status.name,
        otlp_name=descriptor.otlp_name,
        state=STATES[status.state],
        message=status.message,
    )


def encode_sample(sample: Sample) -> metrics_pb2.Sample:
    """A sample with what its metric says of it."""
    metric = sample.series.metric
    return metrics_pb2.Sample(
        metric=metric.name,
        labels=sample.series.label_map(),
        value=sample.value,
        unit=metric.unit,
        type=TYPES[metric.type],
        sample_time=timestamp(sample.at),
    )


def encode_snapshot(
    snapshot: Snapshot, samples: Iterable[Sample] | None = None
) -> metrics_pb2.Snapshot:
    """A snapshot with all its samples, or with `samples` of them."""
    return metrics_pb2.Snapshot(
        database=resource_name(snapshot.database),
        sample_time=timestamp(snapshot.sampled_at),
        collectors=[encode_status(each.status) for each in snapshot.collections.values()],
        samples=map(encode_sample, snapshot.samples() if samples is None else samples),
    )


def encode_status(status: CollectorStatus) -> metrics_pb2.CollectorStatus:
    """How a collector does."""
    return metrics_pb2.CollectorStatus(
        name=status.name,
        state=STATES[status.state],
        reason=status.reason,
        message=status.message,
        sample_time=timestamp(status.sampled_at),
        duration=duration(status.duration_s),
        interval=duration(status.interval_s),
    )


def encode_update(
    update: Update, *, missed: int, last: Snapshot | None, changes_only: bool
) -> bytes:
    """An update for a watcher who had `last`; None: it had none yet.

    Encoded once for all watchers who missed nothing.
    """
    whole = last is None or not changes_only
    shared = missed == 0 and (whole or last is update.previous)
    key = "whole" if whole else "changes"
    if shared and key in update.made:
        encoded: bytes = update.made[key]
        return encoded
    if whole or last is None:
        response = metrics_pb2.WatchSnapshotsResponse(
            snapshot=encode_snapshot(update.snapshot), missed_count=missed
        )
    else:
        changed, gone = changed_samples(update.snapshot, last)
        response = metrics_pb2.WatchSnapshotsResponse(
            snapshot=encode_snapshot(update.snapshot, changed),
            gone=map(encode_sample, gone),
            missed_count=missed,
        )
    encoded = response.SerializeToString()
    if shared:
        update.made[key] = encoded
    return encoded
