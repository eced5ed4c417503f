"""A depthwise convolution, its ReLU with it, as Triton kernels: PyTorch's own are made for more channels than 8.

Float32, `[planes, height, width]` in and out, a plane being one channel of one picture. Held against `conv2d` by
tests/ports/test_torch_training.py, on a CPU too (TRITON_INTERPRET=1).
"""

# pyright: basic
# Triton gives meaning to a kernel's annotations, operators and calls that Python's types cannot tell.

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

Pair = tuple[int, int]
CHUNKS = 8
"""Into how many parts a batch is cut where a kernel's gradient is summed."""


@triton.jit
def _forward(
    x, w, y, channels, height, width, rows, columns, top, left, dilation, total,
    K: tl.constexpr, STRIDE: tl.constexpr, RELU: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    plane, pixel = at // (rows * columns), at % (rows * columns)
    row, column = pixel // columns * STRIDE - top, pixel % columns * STRIDE - left
    kernel, picture = w + plane % channels * (K * K), x + plane * (height * width)
    found = tl.zeros([BLOCK], tl.float32)
    for i in tl.static_range(K):
        for j in tl.static_range(K):
            r, c = row + i * dilation, column + j * dilation
            read = inside & (r >= 0) & (r < height) & (c >= 0) & (c < width)
            value = tl.load(picture + r * width + c, mask=read, other=0.0)
            if RELU:
                value = tl.maximum(value, 0.0)
            found += value * tl.load(kernel + (i * K + j), mask=inside, other=0.0)
    tl.store(y + at, found, mask=inside)


@triton.jit
def _to_input(
    x, w, dy, dx, channels, height, width, rows, columns, top, left, dilation, total,
    K: tl.constexpr, STRIDE: tl.constexpr, RELU: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    plane, pixel = at // (height * width), at % (height * width)
    row, column = pixel // width + top, pixel % width + left
    kernel, picture = w + plane % channels * (K * K), dy + plane * (rows * columns)
    found = tl.zeros([BLOCK], tl.float32)
    for i in tl.static_range(K):
        for j in tl.static_range(K):
            r, c = row - i * dilation, column - j * dilation
            read = inside & (r >= 0) & (c >= 0) & (r % STRIDE == 0) & (c % STRIDE == 0)
            r, c = r // STRIDE, c // STRIDE
            value = tl.load(picture + r * columns + c, mask=read & (r < rows) & (c < columns), other=0.0)
            found += value * tl.load(kernel + (i * K + j), mask=inside, other=0.0)
    if RELU:
        found = tl.where(tl.load(x + at, mask=inside, other=0.0) > 0.0, found, 0.0)
    tl.store(dx + at, found, mask=inside)


@triton.jit
def _to_kernel(
    x, dy, dw, channels, height, width, rows, columns, top, left, dilation, pictures, chunk,
    K: tl.constexpr, TAPS: tl.constexpr, STRIDE: tl.constexpr, RELU: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    channel, part = tl.program_id(0), tl.program_id(1)
    first = part * chunk
    total = (tl.minimum(pictures, first + chunk) - first) * rows * columns
    tap = tl.arange(0, TAPS)[:, None]
    i, j = tap // K * dilation - top, tap % K * dilation - left
    found = tl.zeros([TAPS, BLOCK], tl.float32)
    for start in range(0, total, BLOCK):
        at = start + tl.arange(0, BLOCK)[None, :]
        inside = at < total
        plane, pixel = (first + at // (rows * columns)) * channels + channel, at % (rows * columns)
        r, c = pixel // columns * STRIDE + i, pixel % columns * STRIDE + j
        read = inside & (r >= 0) & (r < height) & (c >= 0) & (c < width) & (tap < K * K)
        value = tl.load(x + plane * (height * width) + r * width + c, mask=read, other=0.0)
        if RELU:
            value = tl.maximum(value, 0.0)
        found += value * tl.load(dy + plane * (rows * columns) + pixel, mask=inside, other=0.0)
    summed = tl.sum(found, axis=1)
    tap = tl.arange(0, TAPS)
    tl.store(dw + (part * channels + channel) * (K * K) + tap, summed, mask=tap < K * K)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x, w, stride: int, dilation: int, padding: tuple[Pair, Pair], relu: bool):
        x, w = x.contiguous(), w.contiguous()
        (batch, channels, height, width), size = x.shape, w.shape[2]
        rows, columns = (
            (length + sum(pads) - dilation * (size - 1) - 1) // stride + 1
            for length, pads in zip((height, width), padding, strict=True)
        )
        y = x.new_empty(batch, channels, rows, columns)
        ctx.save_for_backward(x, w)
        ctx.shape = (channels, height, width, rows, columns, padding[0][0], padding[1][0], dilation)
        ctx.kinds = {"K": size, "STRIDE": stride, "RELU": relu}
        _forward[_grid(y)](x, w, y, *ctx.shape, y.numel(), **ctx.kinds, BLOCK=512)  # pyright: ignore
        return y

    @staticmethod
    def backward(ctx: Any, dy):  # pyright: ignore
        x, w = ctx.saved_tensors
        dy, batch, channels, size = dy.contiguous(), x.shape[0], w.shape[0], w.shape[2]
        dx = torch.empty_like(x)
        _to_input[_grid(x)](x, w, dy, dx, *ctx.shape, x.numel(), **ctx.kinds, BLOCK=512)  # pyright: ignore
        chunks = min(CHUNKS, batch)
        dw = x.new_empty(chunks, channels, 1, size, size)
        taps = triton.next_power_of_2(size * size)
        _to_kernel[(channels, chunks)](  # pyright: ignore
            x, dy, dw, *ctx.shape, batch, -(-batch // chunks), **ctx.kinds, TAPS=taps, BLOCK=256, num_warps=8
        )
        return dx, dw.sum(0), None, None, None, None


def _grid(of: torch.Tensor) -> tuple[int]:
    return (triton.cdiv(of.numel(), 512),)


def depthwise(
    x: torch.Tensor, w: torch.Tensor, *, stride: int, dilation: int, padding: tuple[Pair, Pair], relu: bool
) -> torch.Tensor:
    """`[B, C, h, w]` by `[C, 1, k, k]`; `padding` is zeros above and below, to the left and right, after the ReLU."""
    return _Depthwise.apply(x, w, stride, dilation, padding, relu)  # pyright: ignore
