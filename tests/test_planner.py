# SPDX-License-Identifier: Apache-2.0
"""The planner's choice over a grid of layer shapes, judged by the cycle model: configuration ``full``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from openkpu.golden.layers import make_descriptor
from openkpu.hw.configs import CORES
from openkpu.hw.descriptor import Descriptor
from openkpu.schedule.chip import chip_cycles
from openkpu.schedule.cycles import run
from openkpu.schedule.plan import legal_columns, plan

FULL = CORES["full"]
MAPS = ((4, 5), (7, 7), (10, 10), (14, 14), (15, 20), (28, 28), (30, 40), (64, 64), (60, 80), (120, 160))
CHANNELS = ((3, 8), (3, 16), (8, 8), (16, 12), (16, 24), (32, 32), (64, 64), (64, 24), (256, 6), (96, 75), (128, 256))
POOLS = (0, 1, 3, 5, 6, 7)  # the overlapping ones have one plan only
LARGEST_LOAD, MOST_PIXELS, MOST_MACS = 30 << 10, 500_000, 30_000_000


def grid() -> Iterator[Descriptor]:
    for (height, width), (channels, outs), kernel_type, pool_type in product(MAPS, CHANNELS, (0, 1), POOLS):
        taps = channels * (9 if kernel_type else 1)
        if max(channels, outs) * height * width <= MOST_PIXELS and taps * outs * height * width <= MOST_MACS:
            yield make_descriptor((channels, height, width), outs, kernel_type=kernel_type, pool_type=pool_type,
                                  o_ch_num_coef=min(outs, LARGEST_LOAD // taps))


def cycles(d: Descriptor, lgp: int | None = None) -> int:
    return run([plan(d, FULL, lgp=lgp)], FULL, prefetched=True)[0].total


def test_chosen_plan_is_the_cheapest_of_all_legal_ones():
    """The rule knows neither drain nor pipeline latencies: a sixth or some dozen cycles at most, 1 % in all."""
    chosen = best = 0
    for d in grid():
        costs = {lgp: cycles(d, lgp) for lgp in legal_columns(d, FULL)}
        took = costs[plan(d, FULL).lgp]
        assert took <= max(1.17 * min(costs.values()), min(costs.values()) + 150), \
            f"{d.in_shape} -> {d.out_shape}, kernel {d.kernel}, pool {d.pool_type}: {took} of {costs}"
        chosen, best = chosen + took, best + min(costs.values())
    assert chosen < 1.01 * best


def test_no_layer_is_slower_than_the_chip():
    for d in grid():
        assert cycles(d) <= chip_cycles(d), f"{d.in_shape} -> {d.out_shape}, kernel {d.kernel}, pool {d.pool_type}"


def test_no_depthwise_layer_is_slower_than_the_chip():
    """On the streaming path; with a pool, one channel at a time goes through the array."""
    for (height, width), channels, kernel_type in product(MAPS, (3, 16, 64, 256), (0, 1)):
        if channels * height * width <= MOST_PIXELS:
            d = make_descriptor((channels, height, width), channels, kernel_type=kernel_type, depth_wise_layer=1)
            assert cycles(d) <= chip_cycles(d), f"{d.in_shape}, kernel {d.kernel}"
