// RUN: calocc-opt %s -p check-dataflow | filecheck %s

// The graph of check_dataflow_deadlock.mlir with room for all elements.

// CHECK: dataflow.fork

func.func @main(%x: !dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<3x8x!fixed.num<u4, 2>>, 1> {
  %a, %b = dataflow.fork %x {depths = array<i64: 2, 24>} : (!dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>) -> (!dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>, !dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>)
  %t = dataflow.buffer %a {permutation = array<i64: 1, 0>, depths = array<i64: 2>} : (!dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<4x3x!fixed.num<u4, 2>>, 1>
  %r = dataflow.reshape %t : (!dataflow.stream<tensor<4x3x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>
  %y = dataflow.concat %r, %b {axis = 1 : i64, depths = array<i64: 2>} : (!dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>, !dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<3x8x!fixed.num<u4, 2>>, 1>
  func.return %y : !dataflow.stream<tensor<3x8x!fixed.num<u4, 2>>, 1>
}
