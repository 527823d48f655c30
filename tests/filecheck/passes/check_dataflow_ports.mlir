// RUN: not calocc-opt %s -p check-dataflow 2>&1 | filecheck %s

// A host sends whole pixels.

// CHECK: error: layer 'a port': !dataflow.stream<tensor<4x6x!fixed.num<u9, 9>>, 6 x 2> has several pixels in a beat, or lanes that are not there
// CHECK-NEXT: hint: let dataflow.lanes convert to lanes of one pixel that divide the channels

func.func @main(%x: !dataflow.stream<tensor<4x6x!fixed.num<u9, 9>>, 6 x 2>) -> !dataflow.stream<tensor<4x6x!fixed.num<u9, 9>>, 6> {
  %y = dataflow.lanes %x {layer = "narrow"} : (!dataflow.stream<tensor<4x6x!fixed.num<u9, 9>>, 6 x 2>) -> !dataflow.stream<tensor<4x6x!fixed.num<u9, 9>>, 6>
  func.return %y : !dataflow.stream<tensor<4x6x!fixed.num<u9, 9>>, 6>
}
