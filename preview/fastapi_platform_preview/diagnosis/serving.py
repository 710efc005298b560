"""Which version of what a Service sends requests to has pods that are ready.

Owns the one line that is asked for first. Deliberately counts pods that say they are ready, whatever else is wrong.
"""

from collections.abc import Sequence

from .release import Batch, Release


def sentence(release: Release) -> str:
    """What serves of a workload."""
    newest = release.newest
    if release.live is None and not release.is_named:
        return f"{release.name}: cannot tell what serves, the deploy names it"
    if release.live is None or newest is None:
        return f"{release.name}: nothing serves, it is not deployed"
    wanted = max(release.live.number("spec", "replicas"), newest.maker.number("spec", "replicas"))
    old = [batch for batch in release.older if batch.ready]
    if not old and not newest.ready:
        return f"{release.name}: nothing serves, 0 of {wanted} pods of {_version(newest)} are ready"
    if old and not newest.ready:
        return (
            f"{release.name}: the old version serves, {_count(old)}; "
            f"of the new one, {_version(newest)}, 0 of {max(newest.alive, 1)} pods are ready"
        )
    if old:
        return f"{release.name}: both versions serve, {_count(old)}, {_count([newest])}"
    who = "serves" if release.is_wanted else "the old version serves"
    return f"{release.name}: {who}, {newest.ready} of {wanted} pods of {_version(newest)} are ready"


def _count(batches: Sequence[Batch]) -> str:
    return ", ".join(f"{batch.ready} of {batch.alive} pods of {_version(batch)}" for batch in batches)


def _version(batch: Batch) -> str:
    return f"{batch.image} (revision {batch.revision})" if batch.revision else batch.image
