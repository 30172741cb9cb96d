"""Which tasks a door publishes, and which it leaves to the store."""

import pytest

from infra.cluster import Cluster
from infra.errors import ConfigurationError
from infra.settings import load_settings
from schemas.lease import LeaseTerms
from schemas.legacy import parse_task
from tests.doubles.engine_ports import bench


class Published:
    """A broker that notes what was published to the queue of its door's class."""

    def __init__(self):
        self.ids = []

    async def publish(self, body, task_id, priority):
        self.ids.append(task_id)


@pytest.mark.parametrize("queue", ["", "gpu"])
async def test_only_tasks_of_the_doors_own_class_are_published(tmp_path, queue):
    """They are held for their delivery for a moment; a task of another class is due in the store at once."""
    async with bench(tmp_path) as system:
        broker, ours = Published(), queue or "sisyphus"
        cluster = Cluster(load_settings(data=tmp_path, queue=queue), system.store, system.objects, broker)
        for task_id, document in {"unnamed": {}, "ours": {"queue": ours}, "other": {"queue": "tpu"}}.items():
            task = parse_task({"id": task_id, "image": "i", "command": ["x"], **document})
            assert (await cluster.submit(task)).record.queue == document.get("queue", ours)
        assert broker.ids == ["unnamed", "ours"]
        assert await system.store.claim("n", 5, LeaseTerms(), 3, queue=ours) == []
        assert [x.lease.task_id for x in await system.store.claim("n", 5, LeaseTerms(), 3, queue="tpu")] == ["other"]


async def test_the_class_of_the_door_is_no_part_of_the_document(tmp_path):
    """The same document through a door of another class is the same task, not another one with its id."""
    async with bench(tmp_path) as system:
        task = parse_task({"id": "t", "image": "i", "command": ["x"]})
        for queue, created in (("gpu", True), ("", False)):
            cluster = Cluster(load_settings(data=tmp_path, queue=queue), system.store, system.objects, None)
            submission = await cluster.submit(task)
            assert (submission.created, submission.record.queue) == (created, "gpu")


def test_a_class_that_no_queue_can_have_is_a_wrong_setting():
    """The message names the variable."""
    with pytest.raises(ConfigurationError, match="SISYPHUS_QUEUE"):
        load_settings(queue="a b")
