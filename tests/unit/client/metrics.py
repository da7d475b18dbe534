"""Metrics as dbopsd sends them."""

from dbops.v1 import metrics_pb2
from google.protobuf.timestamp_pb2 import Timestamp

Status = metrics_pb2.CollectorStatus


def sample(metric="pg_up", value=1.0, unit="1", type_=metrics_pb2.GAUGE, at_s=1_000, **labels):
    return metrics_pb2.Sample(
        metric=metric,
        labels=labels,
        value=value,
        unit=unit,
        type=type_,
        sample_time=Timestamp(seconds=at_s),
    )


def counter(metric, value, at_s=1_000, **labels):
    return sample(metric, value, "{commit}", metrics_pb2.COUNTER, at_s, **labels)


def failing(name, reason="QUERY_TIMEOUT", message="it took too long"):
    return Status(name=name, state=Status.FAILED, reason=reason, message=message)


def snapshot(*samples, collectors=(), at_s=1_000):
    return metrics_pb2.Snapshot(
        database="databases/main",
        sample_time=Timestamp(seconds=at_s),
        collectors=collectors,
        samples=samples,
    )


def update(*samples, gone=(), missed=0, **fields):
    return metrics_pb2.WatchSnapshotsResponse(
        snapshot=snapshot(*samples, **fields), gone=gone, missed_count=missed
    )


def descriptor(metric, **fields):
    return metrics_pb2.MetricDescriptor(
        metric=metric,
        **{
            "type": metrics_pb2.GAUGE,
            "unit": "1",
            "help": "What it is.",
            "collector": "c",
            "state": Status.OK,
            **fields,
        },
    )
