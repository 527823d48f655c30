// RUN: calocc-opt %s -p partition-streams | filecheck %s

// A convolution is windows and a matrix; the sum with the input reads a fork of it. The ports carry
// a pixel per beat, streams inside an element.

func.func @main(%x: tensor<4x4x2x!fixed.num<u4, 2>> {calocc.name = "image", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<4x4x2x!fixed.num<s7, 5>> {calocc.name = "sum"}) {
  %w = qnn.constant <b2c50532ac60ea1e7 : tensor<3x1x2x2xi8>> : tensor<3x1x2x2x!fixed.num<s3, 3>>
  %b = qnn.constant <b6077f477043ae8ce : tensor<2xi8>> : tensor<2x!fixed.num<s2, 2>>
  %c = qnn.conv %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 0, 0>, layer = "conv"} : (tensor<4x4x2x!fixed.num<u4, 2>>, tensor<3x1x2x2x!fixed.num<s3, 3>>) -> tensor<4x4x2x!fixed.num<s8, 6>>
  %d = qnn.add %c, %b {layer = "conv"} : (tensor<4x4x2x!fixed.num<s8, 6>>, tensor<2x!fixed.num<s2, 2>>) -> tensor<4x4x2x!fixed.num<s8, 6>>
  %q = qnn.quantize %d {rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>, layer = "act"} : (tensor<4x4x2x!fixed.num<s8, 6>>) -> tensor<4x4x2x!fixed.num<s6, 4>>
  %y = qnn.add %q, %x {layer = "sum"} : (tensor<4x4x2x!fixed.num<s6, 4>>, tensor<4x4x2x!fixed.num<u4, 2>>) -> tensor<4x4x2x!fixed.num<s7, 5>>
  func.return %y : tensor<4x4x2x!fixed.num<s7, 5>>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: !dataflow.stream<tensor<4x4x2x!fixed.num<u4, 2>>, 2> {calocc.name = "image", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (!dataflow.stream<tensor<4x4x2x!fixed.num<s7, 5>>, 2> {calocc.name = "sum"}) {
// CHECK-NEXT:     %x_1 = dataflow.lanes %x {layer = "x"} : (!dataflow.stream<tensor<4x4x2x!fixed.num<u4, 2>>, 2>) -> !dataflow.stream<tensor<4x4x2x!fixed.num<u4, 2>>, 1>
// CHECK-NEXT:     %0, %1 = dataflow.fork %x_1 {layer = "input"} : (!dataflow.stream<tensor<4x4x2x!fixed.num<u4, 2>>, 1>) -> (!dataflow.stream<tensor<4x4x2x!fixed.num<u4, 2>>, 1>, !dataflow.stream<tensor<4x4x2x!fixed.num<u4, 2>>, 1>)
// CHECK-NEXT:     %2 = dataflow.window %0 {size = array<i64: 3, 1>, strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 0, 0>, fill = 0 : i64, layer = "conv"} : (!dataflow.stream<tensor<4x4x2x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<4x4x6x!fixed.num<u4, 2>>, 1>
// CHECK-NEXT:     %c = dataflow.matvec %2 {weights = #fixed.blob<b2c50532ac60ea1e7 : tensor<6x2xi8>>, weight_type = !fixed.num<s3, 3>, layer = "conv"} : (!dataflow.stream<tensor<4x4x6x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 6>>, 1> {
// CHECK-NEXT:     ^bb0(%3: !fixed.num<s8, 6>):
// CHECK-NEXT:       fixed.yield %3 : !fixed.num<s8, 6>
// CHECK-NEXT:     }
// CHECK-NEXT:     %d = dataflow.map %c {layer = "conv"} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 6>>, 1>) -> !dataflow.stream<tensor<4x4x2x!fixed.num<s8, 6>>, 1> {
// CHECK-NEXT:     ^bb0(%4: !fixed.num<s8, 6>):
// CHECK-NEXT:       %5 = fixed.constant <b6077f477043ae8ce : tensor<2xi8>> : !fixed.num<s2, 2>
// CHECK-NEXT:       %6 = fixed.add %4, %5 : (!fixed.num<s8, 6>, !fixed.num<s2, 2>) -> !fixed.num<s8, 6>
// CHECK-NEXT:       fixed.yield %6 : !fixed.num<s8, 6>
// CHECK-NEXT:     }
// CHECK-NEXT:     %q = dataflow.map %d {layer = "act"} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s8, 6>>, 1>) -> !dataflow.stream<tensor<4x4x2x!fixed.num<s6, 4>>, 1> {
// CHECK-NEXT:     ^bb0(%7: !fixed.num<s8, 6>):
// CHECK-NEXT:       %8 = fixed.quantize %7 {rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>} : (!fixed.num<s8, 6>) -> !fixed.num<s6, 4>
// CHECK-NEXT:       fixed.yield %8 : !fixed.num<s6, 4>
// CHECK-NEXT:     }
// CHECK-NEXT:     %y = dataflow.map %q, %1 {layer = "sum"} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s6, 4>>, 1>, !dataflow.stream<tensor<4x4x2x!fixed.num<u4, 2>>, 1>) -> !dataflow.stream<tensor<4x4x2x!fixed.num<s7, 5>>, 1> {
// CHECK-NEXT:     ^bb0(%9: !fixed.num<s6, 4>, %10: !fixed.num<u4, 2>):
// CHECK-NEXT:       %11 = fixed.add %9, %10 : (!fixed.num<s6, 4>, !fixed.num<u4, 2>) -> !fixed.num<s7, 5>
// CHECK-NEXT:       fixed.yield %11 : !fixed.num<s7, 5>
// CHECK-NEXT:     }
// CHECK-NEXT:     %12 = dataflow.lanes %y {layer = "output"} : (!dataflow.stream<tensor<4x4x2x!fixed.num<s7, 5>>, 1>) -> !dataflow.stream<tensor<4x4x2x!fixed.num<s7, 5>>, 2>
// CHECK-NEXT:     func.return %12 : !dataflow.stream<tensor<4x4x2x!fixed.num<s7, 5>>, 2>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      b2c50532ac60ea1e7: "0x0100ff02000101ff02010001",
      b6077f477043ae8ce: "0x01fe"
    }
  }
#-}
