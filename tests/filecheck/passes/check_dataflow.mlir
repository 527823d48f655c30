// RUN: not calocc-opt %s -p check-dataflow 2>&1 | filecheck %s

// CHECK: error: layer 'wide': a beat of 512 elements of ufixed<9,9> has 4608 bits, Vitis HLS takes 4096
// CHECK-NEXT: hint: set pe and simd of the layers on both sides to fewer lanes

func.func @main(%x: !dataflow.stream<tensor<512x!fixed.num<u9, 9>>, 1>) -> !dataflow.stream<tensor<512x!fixed.num<u9, 9>>, 1> {
  %y = dataflow.lanes %x {layer = "wide"} : (!dataflow.stream<tensor<512x!fixed.num<u9, 9>>, 1>) -> !dataflow.stream<tensor<512x!fixed.num<u9, 9>>, 512>
  %z = dataflow.lanes %y {layer = "narrow"} : (!dataflow.stream<tensor<512x!fixed.num<u9, 9>>, 512>) -> !dataflow.stream<tensor<512x!fixed.num<u9, 9>>, 1>
  func.return %z : !dataflow.stream<tensor<512x!fixed.num<u9, 9>>, 1>
}
