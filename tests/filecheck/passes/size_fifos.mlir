// RUN: calocc-opt %s -p size-fifos | filecheck %s

// The slow branch transposes: it gives nothing before it has taken all twelve elements, which the
// FIFO of the other branch must hold meanwhile, or the fork would be stuck.

// CHECK: %a, %b = dataflow.fork %x {depths = array<i64: [[SLOW:[0-9]+]], {{(1[2-9]|[2-9][0-9])}}>}

func.func @main(%x: !dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<3x8x!fixed.num<u4, 2>>, 1> {
  %a, %b = dataflow.fork %x : (!dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>) -> (!dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>, !dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>)
  %t = dataflow.buffer %a {permutation = array<i64: 1, 0>} : (!dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<4x3x!fixed.num<u4, 2>>, 1>
  %r = dataflow.reshape %t : (!dataflow.stream<tensor<4x3x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>
  %y = dataflow.concat %r, %b {axis = 1 : i64} : (!dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>, !dataflow.stream<tensor<3x4x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<3x8x!fixed.num<u4, 2>>, 1>
  func.return %y : !dataflow.stream<tensor<3x8x!fixed.num<u4, 2>>, 1>
}
