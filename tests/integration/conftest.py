import pytest

import mailbus_testing


@pytest.fixture
def gateway(tmp_path):
    """A gateway with default settings; it must end cleanly."""
    with mailbus_testing.Gateway(tmp_path) as program:
        yield program
        if program.process.poll() is None:
            program.stop()
