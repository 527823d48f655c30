// RUN: calocc-opt %s -p partition-streams | filecheck %s

// Windows that cut rows into parts, or take the whole image, come as they are: reshaped, without a line
// buffer.

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%0: !dataflow.stream<tensor<4x6x2x!fixed.num<s4, 2>>, 2> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (!dataflow.stream<tensor<1x1x3x!fixed.num<s9, 5>>, 3> {calocc.name = "y"}) {
// CHECK-NEXT:     %1 = dataflow.lanes %0 {layer = "input"} : (!dataflow.stream<tensor<4x6x2x!fixed.num<s4, 2>>, 2>) -> !dataflow.stream<tensor<4x6x2x!fixed.num<s4, 2>>, 1>
// CHECK-NEXT:     %2 = dataflow.reshape %1 {layer = "conv"} : (!dataflow.stream<tensor<4x6x2x!fixed.num<s4, 2>>, 1>) -> !dataflow.stream<tensor<4x2x6x!fixed.num<s4, 2>>, 1>
// CHECK-NEXT:     %3 = dataflow.matvec %2 {weights = #fixed.blob<b7b910685c36ea5c6 : tensor<6x3xi8>>, weight_type = !fixed.num<s4, 2>, layer = "conv"} : (!dataflow.stream<tensor<4x2x6x!fixed.num<s4, 2>>, 1>) -> !dataflow.stream<tensor<4x2x3x!fixed.num<s9, 5>>, 1> {
// CHECK-NEXT:     ^bb0(%4: !fixed.num<s9, 5>):
// CHECK-NEXT:       fixed.yield %4 : !fixed.num<s9, 5>
// CHECK-NEXT:     }
// CHECK-NEXT:     %5 = dataflow.reduce %3 {kind = #qnn<pooling max>, layer = "pool"} : (!dataflow.stream<tensor<4x2x3x!fixed.num<s9, 5>>, 1>) -> !dataflow.stream<tensor<1x1x3x!fixed.num<s9, 5>>, 1> {
// CHECK-NEXT:     ^bb0(%6: !fixed.num<s9, 5>):
// CHECK-NEXT:       fixed.yield %6 : !fixed.num<s9, 5>
// CHECK-NEXT:     }
// CHECK-NEXT:     %7 = dataflow.lanes %5 {layer = "output"} : (!dataflow.stream<tensor<1x1x3x!fixed.num<s9, 5>>, 1>) -> !dataflow.stream<tensor<1x1x3x!fixed.num<s9, 5>>, 3>
// CHECK-NEXT:     func.return %7 : !dataflow.stream<tensor<1x1x3x!fixed.num<s9, 5>>, 3>
// CHECK-NEXT:   }
// CHECK-NEXT: }

builtin.module {
  func.func @main(%0: tensor<4x6x2x!fixed.num<s4, 2>> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<1x1x3x!fixed.num<s9, 5>> {calocc.name = "y"}) {
    %1 = qnn.constant <b7b910685c36ea5c6 : tensor<1x3x2x3xi8>> : tensor<1x3x2x3x!fixed.num<s4, 2>>
    %2 = qnn.conv %0, %1 {strides = array<i64: 1, 3>, padding = array<i64: 0, 0, 0, 0>, layer = "conv"} : (tensor<4x6x2x!fixed.num<s4, 2>>, tensor<1x3x2x3x!fixed.num<s4, 2>>) -> tensor<4x2x3x!fixed.num<s9, 5>>
    %3 = qnn.pool %2 {kind = #qnn<pooling max>, size = array<i64: 4, 2>, strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, layer = "pool"} : (tensor<4x2x3x!fixed.num<s9, 5>>) -> tensor<1x1x3x!fixed.num<s9, 5>>
    func.return %3 : tensor<1x1x3x!fixed.num<s9, 5>>
  }
}

{-#
  dialect_resources: {
    fixed: {
      b7b910685c36ea5c6: "0xff000407f8fa0507fbfc05fefc05fcfe0200"
    }
  }
#-}
