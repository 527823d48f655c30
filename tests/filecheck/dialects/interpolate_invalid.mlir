// RUN: calocc-opt %s --split-input-file --verify-diagnostics --parsing-diagnostics | filecheck %s

// What interpolation refuses.

%x = "test.op"() : () -> tensor<2x3x1xf32>
%y = qnn.interpolate %x {factors = array<i64: 0, 1>} : (tensor<2x3x1xf32>) -> tensor<0x3x1xf32>
// CHECK: (0, 1) are not how often rows and columns repeat

// -----

%x = "test.op"() : () -> tensor<2x3xf32>
%y = qnn.interpolate %x {factors = array<i64: 1, 1>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK: an image has three axes (H, W, C), not (2, 3)

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x2x1x!fixed.num<s4, 2>>, 1>
%y = dataflow.interpolate %x {factors = array<i64: 1, 2>} : (!dataflow.stream<tensor<2x2x1x!fixed.num<s4, 2>>, 1>) -> !dataflow.stream<tensor<4x2x1x!fixed.num<s6, 4>>, 1> {
^bb0(%s: !fixed.num<s6, 4>):
  fixed.yield %s : !fixed.num<s6, 4>
}
// CHECK: dataflow.interpolate yields (2, 4, 1), not (4, 2, 1)

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x2x1x!fixed.num<s4, 2>>, 1>
%y = dataflow.interpolate %x {factors = array<i64: 1, 2>} : (!dataflow.stream<tensor<2x2x1x!fixed.num<s4, 2>>, 1>) -> !dataflow.stream<tensor<2x4x1x!fixed.num<s5, 4>>, 1> {
^bb0(%s: !fixed.num<s5, 4>):
  fixed.yield %s : !fixed.num<s5, 4>
}
// CHECK: the accumulator needs 2 fraction bits

// -----

%x = "test.op"() : () -> !dataflow.stream<tensor<2x2x4x!fixed.num<s4, 2>>, 2>
%y = dataflow.interpolate %x {factors = array<i64: 1, 2>} : (!dataflow.stream<tensor<2x2x4x!fixed.num<s4, 2>>, 2>) -> !dataflow.stream<tensor<2x4x4x!fixed.num<s6, 4>>, 4> {
^bb0(%s: !fixed.num<s6, 4>):
  fixed.yield %s : !fixed.num<s6, 4>
}
// CHECK: dataflow.interpolate has the same lanes at every port
