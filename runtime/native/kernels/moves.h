// Steps that move elements: padding, upsampling, slices, transposition, conversion.

#pragma once

#include "frame.h"

// Elements `from` apart in the operand are `to` apart in the result.
struct Axis {
    i64 size, from, to;
};

struct Move {
    i32 x, y;  // values
    i32 x_kind, y_kind;
    i64 from, to;    // the first element that is read, and where it goes
    i64 filled;    // elements of the result that hold `fill` unless they are written
    i64 fill;
    const Axis *axes;
    i64 rank;      // at least 1

    i64 tasks(const Frame &frame) const { return frame.events; }

    bool run(const Frame &frame, i64 event) const {
        with_kind(x_kind, [&](auto element) {
            typedef decltype(element) X;
            with_kind(y_kind, [&](auto moved) {
                typedef decltype(moved) Y;
                Y *result = frame.at<Y>(y, event);
                std::fill(result, result + filled, Y(fill));
                copy(frame.at<X>(x, event) + from, result + to, axes, rank);
            });
        });
        return true;
    }

private:
    template <class X, class Y> static void copy(const X *x, Y *y, const Axis *axis, i64 rank) {
        if (rank == 1)
            return copy(x, y, *axis);
        for (i64 k = 0; k < axis->size; k++)
            copy(x + k * axis->from, y + k * axis->to, axis + 1, rank - 1);
    }

    template <class X, class Y> static void copy(const X *x, Y *y, const Axis &axis) {
        if (axis.from == 1 && axis.to == 1)
            for (i64 k = 0; k < axis.size; k++)
                y[k] = Y(x[k]);
        else
            for (i64 k = 0; k < axis.size; k++)
                y[k * axis.to] = Y(x[k * axis.from]);
    }
};
