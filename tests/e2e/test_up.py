"""`fastapi-platform up` with the real engine: it previews first, deploys, and ends a deploy that cannot come up."""

from tests.e2e.deployment import NAME, Deployment


def test_a_deploy_that_comes_up_is_left_alone(deployment: Deployment):
    deployment.set("service", env={"LOG_LEVEL": "WARNING"})
    done = deployment.command("up", NAME)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert deployment.changes() == {}


def test_a_deploy_that_cannot_come_up_ends_with_its_cause_and_is_mended_by_the_next(
    deployment: Deployment,
):
    deployment.set("service", env={"LOG_LEVEL": "nonsense"})
    broken = deployment.command("up", NAME)
    assert broken.returncode == 1, broken.stdout + broken.stderr
    told = broken.stdout.rpartition("serves")
    assert "the old version" in told[0].rpartition("\n")[2]
    assert "cannot start: LOG_LEVEL" in told[2]
    asked = deployment.command("diagnose", NAME)
    assert asked.returncode == 1
    assert "cannot start: LOG_LEVEL" in asked.stdout
    deployment.reset()
    mended = deployment.command("up", NAME)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert deployment.changes() == {}
    assert deployment.command("diagnose", NAME).returncode == 0
