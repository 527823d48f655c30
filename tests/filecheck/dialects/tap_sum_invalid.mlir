// RUN: calocc-opt %s --split-input-file --verify-diagnostics --parsing-diagnostics | filecheck %s

// What sums of taps refuse.

%x = "test.op"() : () -> tensor<2x3x6xf32>
%y = qnn.tap_sum %x {axis = 2 : i64, taps = 3 : i64, factor = 2 : i64, stride = 1 : i64, dilation = 1 : i64, start = 0 : i64} : (tensor<2x3x6xf32>) -> tensor<2x3x2xf32>
// CHECK: taps are summed along axis 0 or 1 of images, not 2 of (2, 3, 6)

// -----

%x = "test.op"() : () -> tensor<2x3x6xf32>
%y = qnn.tap_sum %x {axis = 1 : i64, taps = 3 : i64, factor = 0 : i64, stride = 1 : i64, dilation = 1 : i64, start = 0 : i64} : (tensor<2x3x6xf32>) -> tensor<2x3x2xf32>
// CHECK: sizes along an axis are 1 at least, not (3, 3, 3, 0, 1, 1)

// -----

%x = "test.op"() : () -> tensor<2x3x5xf32>
%y = qnn.tap_sum %x {axis = 1 : i64, taps = 3 : i64, factor = 2 : i64, stride = 1 : i64, dilation = 1 : i64, start = -1 : i64} : (tensor<2x3x5xf32>) -> tensor<2x6x2xf32>
// CHECK: 5 channels are not 3 taps of each of some

// -----

%x = "test.op"() : () -> tensor<2x3x6xf32>
%y = qnn.tap_sum %x {axis = 1 : i64, taps = 3 : i64, factor = 2 : i64, stride = 1 : i64, dilation = 1 : i64, start = -1 : i64} : (tensor<2x3x6xf32>) -> tensor<4x6x2xf32>
// CHECK: the sums of taps of (2, 3, 6) have the shape (2, 6, 2), not (4, 6, 2)

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x3x6x!fixed.num<s4, 2>>, 1>
%y = dataflow.tap_sum %x {axis = 1 : i64, taps = 3 : i64, factor = 2 : i64, stride = 1 : i64, dilation = 1 : i64, start = -1 : i64} : (!dataflow.stream<tensor<2x3x6x!fixed.num<s4, 2>>, 1>) -> !dataflow.stream<tensor<2x6x2x!fixed.num<s6, 4>>, 1> {
^bb0(%s: !fixed.num<s6, 4>):
  fixed.yield %s : !fixed.num<s6, 4>
}
// CHECK: 1 sums a beat take 3 lanes, not 1

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x3x6x!fixed.num<s4, 2>>, 3>
%y = dataflow.tap_sum %x {axis = 1 : i64, taps = 3 : i64, factor = 2 : i64, stride = 1 : i64, dilation = 1 : i64, start = -1 : i64} : (!dataflow.stream<tensor<2x3x6x!fixed.num<s4, 2>>, 3>) -> !dataflow.stream<tensor<2x6x2x!fixed.num<s5, 4>>, 1> {
^bb0(%s: !fixed.num<s5, 4>):
  fixed.yield %s : !fixed.num<s5, 4>
}
// CHECK: the accumulator needs 2 fraction bits
