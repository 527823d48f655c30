// RUN: calocc-opt %s -p size-fifos | filecheck %s

// The first row comes again at the end. It waits behind the slice, not in front of it together with
// all that the slice drops.

// CHECK: %a, %b = dataflow.fork %x {depths = array<i64: {{[1-4]}}, {{[1-4]}}>}
// CHECK: %row = dataflow.slice %a {{{.*}}depths = array<i64: {{[4-6]}}>}

func.func @main(%x: !dataflow.stream<tensor<9x4x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<10x4x!fixed.num<u4, 2>>, 1> {
  %a, %b = dataflow.fork %x : (!dataflow.stream<tensor<9x4x!fixed.num<u4, 2>>, 1>) -> (!dataflow.stream<tensor<9x4x!fixed.num<u4, 2>>, 1>, !dataflow.stream<tensor<9x4x!fixed.num<u4, 2>>, 1>)
  %row = dataflow.slice %a {axis = 0 : i64, start = 0 : i64, stop = 1 : i64} : (!dataflow.stream<tensor<9x4x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<1x4x!fixed.num<u4, 2>>, 1>
  %y = dataflow.concat %b, %row {axis = 0 : i64} : (!dataflow.stream<tensor<9x4x!fixed.num<u4, 2>>, 1>, !dataflow.stream<tensor<1x4x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<10x4x!fixed.num<u4, 2>>, 1>
  func.return %y : !dataflow.stream<tensor<10x4x!fixed.num<u4, 2>>, 1>
}
