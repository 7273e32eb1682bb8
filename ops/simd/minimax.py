#!/usr/bin/env python3
"""Finds the polynomials of ops/simd/math_simd.h, and of rough_exp2 in ops/attention/attention_forward_amx_simd.h: python3 ops/simd/minimax.py
(takes about ten seconds; needs only Python).

The error of the best polynomial of a degree is equally large at degree + 2 points, with alternating signs (Chebyshev). The
exchange algorithm of Remez (1934) finds this polynomial: guess the points, solve for the coefficients and the error at them,
move the points to the places where the error is largest, repeat. The coefficients must be rounded to float. So the lowest
coefficient is rounded, then the other coefficients are fitted again to the rest, and so on: each fit corrects the rounding of
the coefficients before it.
"""
import math
import struct
from decimal import Decimal, getcontext

getcontext().prec = 45
GRID = 3000  # the number of points at which the error is computed


def to_float(x):
    return Decimal(struct.unpack("f", struct.pack("f", float(x)))[0])


def solve(rows, right):
    """Solves a system of linear equations by Gaussian elimination with pivoting."""
    n = len(right)
    m = [row + [value] for row, value in zip(rows, right)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda k: abs(m[k][i]))
        m[i], m[pivot] = m[pivot], m[i]
        for k in range(i + 1, n):
            factor = m[k][i] / m[i][i]
            m[k] = [a - factor * b for a, b in zip(m[k], m[i])]
    x = [Decimal(0)] * n
    for i in reversed(range(n)):
        x[i] = (m[i][n] - sum(m[i][j] * x[j] for j in range(i + 1, n))) / m[i][i]
    return x


def points(low, high):
    """Chebyshev's points in [low, high], without points near 0, where the quotients in f and weight lose digits."""
    middle, half = (low + high) / 2, (high - low) / 2
    xs = [middle + half * Decimal(-math.cos(math.pi * i / GRID)) for i in range(GRID + 1)]
    return [x for x in xs if abs(x) > Decimal("1e-4")]


def remez(xs, f, weight, powers):
    """Returns the coefficients c_k of a sum of c_k x^powers_k with the smallest max |weight (f - sum)|. f and weight are values at xs."""
    n = len(powers)
    extrema = [int((len(xs) - 1) * (1 - math.cos(math.pi * i / n)) / 2) for i in range(n + 1)]
    for _ in range(30):
        rows = [[weight[i] * xs[i] ** p for p in powers] + [Decimal((-1) ** k)] for k, i in enumerate(extrema)]
        *c, level = solve(rows, [weight[i] * f[i] for i in extrema])
        error = [w * (y - sum(ck * x**p for ck, p in zip(c, powers))) for x, y, w in zip(xs, f, weight)]
        if max(map(abs, error)) < abs(level) * Decimal("1.0005"):
            break
        extrema = [0]  # the largest error of each run of points with the same sign
        for i in range(1, len(error)):
            if (error[i] > 0) != (error[extrema[-1]] > 0):
                extrema.append(i)
            elif abs(error[i]) > abs(error[extrema[-1]]):
                extrema[-1] = i
        while len(extrema) > n + 1:
            extrema.pop(0 if abs(error[extrema[0]]) < abs(error[extrema[-1]]) else -1)
    return c


def fit(name, f, weight, low, high, degree):
    xs = points(low, high)
    rest, weights = [f(x) for x in xs], [weight(x) for x in xs]
    coefficients = []
    for power in range(degree + 1):
        c = to_float(remez(xs, rest, weights, list(range(power, degree + 1)))[0])
        coefficients.append(c)
        rest = [y - c * x**power for x, y in zip(xs, rest)]
    worst = max(abs(w * y) for w, y in zip(weights, rest))
    print(f"{name}: relative error {float(worst):.2g}, lowest power first:")
    print("   " + ", ".join(f"{float(c):.9g}f" for c in coefficients))


half_ln2 = Decimal(2).ln() / 2 * Decimal("1.0005")
fit("P, e^r - 1 = r + r^2 P(r)", lambda r: (r.exp() - 1 - r) / r**2, lambda r: r**2 / abs(r.exp() - 1), -half_ln2, half_ln2, 4)
fit("Q, log(1 + f) = f - f^2/2 + f^3 Q(f)", lambda f: ((1 + f).ln() - f + f**2 / 2) / f**3,
    lambda f: abs(f**3 / (1 + f).ln()), Decimal("0.5").sqrt() - 1, Decimal(2).sqrt() - 1, 7)
fit("p, 2^r = p(r)", lambda r: 2**r, lambda r: 1 / 2**r, Decimal(0), Decimal(1), 4)
