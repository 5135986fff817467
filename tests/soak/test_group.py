"""The kernel ends what takes more than its group's limit, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.soak.group import limited, possible

TAKE = "import sys; print(len(bytes(1) * int(sys.argv[1])))"


@pytest.mark.skipif(not possible(), reason="no control group can be made here")
@pytest.mark.parametrize(("megabytes", "ended"), [(20, 0), (120, 1)])
def test_a_process_is_ended_above_the_limit_alone(megabytes: int, ended: int):
    size = megabytes * 10**6
    with limited(80) as group:
        command = group.command((sys.executable, "-c", TAKE, str(size)))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.stdout == f"{size}\n") is not bool(ended)
        assert group.ended() == ended
        assert group.most_bytes() <= 80e6 and group.folder.is_dir()
    assert not group.folder.exists()
