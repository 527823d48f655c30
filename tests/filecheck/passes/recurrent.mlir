// RUN: calocc-opt %s -p lower-to-fixed,dce,narrow-widths,partition-streams | filecheck %s

// A step that repeats over time, its rows turned round: the state has the three bits of its
// quantizer whatever goes into it, so the sum of a gate from 0 to 3 and of products with (1, -1)
// and (2, 0) takes five. The process holds the step of one unit.

func.func @main(%x: tensor<3x2xf32> {calocc.name = "x"}) -> (tensor<3x2xf32> {calocc.name = "y"}) {
  %i = qnn.quantize %x {quantizer = #qnn.quantizer<"quantized_relu(2,2)">} : (tensor<3x2xf32>) -> tensor<3x2xf32>
  %r = qnn.reverse %i {layer = "rnn"} : (tensor<3x2xf32>) -> tensor<3x2xf32>
  %y = qnn.recurrent %r {sequences, layer = "rnn"} : (tensor<3x2xf32>) -> tensor<3x2xf32> {
  ^bb0(%a: tensor<2xf32>, %h: tensor<2xf32>):
    %w = qnn.constant <be4dbde2ec72d92ec : tensor<2x2xf32>> : tensor<2x2xf32>
    %k = qnn.quantize %w {quantizer = #qnn.quantizer<"quantized_bits(3,2,alpha=1.0)">} : (tensor<2x2xf32>) -> tensor<2x2xf32>
    %p = qnn.dense %h, %k {layer = "rnn"} : (tensor<2xf32>, tensor<2x2xf32>) -> tensor<2xf32>
    %s = qnn.add %a, %p {layer = "rnn"} : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
    %n = qnn.quantize %s {quantizer = #qnn.quantizer<"quantized_bits(3,2,alpha=1.0)">, layer = "rnn"} : (tensor<2xf32>) -> tensor<2xf32>
    qnn.yield %s, %n : tensor<2xf32>, tensor<2xf32>
  }
  func.return %y : tensor<3x2xf32>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: !dataflow.stream<tensor<3x2x!fixed.num<u2, 2>>, 2> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (!dataflow.stream<tensor<3x2x!fixed.num<s5, 5>>, 2> {calocc.name = "y", calocc.bound = 0.000000e+00 : f64}) {
// CHECK-NEXT:     %x_1 = dataflow.lanes %x {layer = "x"} : (!dataflow.stream<tensor<3x2x!fixed.num<u2, 2>>, 2>) -> !dataflow.stream<tensor<3x2x!fixed.num<u2, 2>>, 1>
// CHECK-NEXT:     %r = dataflow.reverse %x_1 {layer = "rnn"} : (!dataflow.stream<tensor<3x2x!fixed.num<u2, 2>>, 1>) -> !dataflow.stream<tensor<3x2x!fixed.num<u2, 2>>, 1>
// CHECK-NEXT:     %y = dataflow.recurrent %r {simd = 1 : i64, layer = "rnn"} : (!dataflow.stream<tensor<3x2x!fixed.num<u2, 2>>, 1>) -> !dataflow.stream<tensor<3x2x!fixed.num<s5, 5>>, 1> {
// CHECK-NEXT:     ^bb0(%0: !fixed.num<u2, 2>, %1: !fixed.num<s3, 3>):
// CHECK-NEXT:       %2 = dataflow.dot %1 {weights = #fixed.blob<b06bd3534636bc059 : tensor<2x2xi8>>, weight_type = !fixed.num<s3, 3>} : (!fixed.num<s3, 3>) -> !fixed.num<s5, 5>
// CHECK-NEXT:       %3 = fixed.add %0, %2 : (!fixed.num<u2, 2>, !fixed.num<s5, 5>) -> !fixed.num<s5, 5>
// CHECK-NEXT:       %4 = fixed.quantize %3 {rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>} : (!fixed.num<s5, 5>) -> !fixed.num<s3, 3>
// CHECK-NEXT:       dataflow.next %3, %4 : !fixed.num<s5, 5>, !fixed.num<s3, 3>
// CHECK-NEXT:     }
// CHECK-NEXT:     %5 = dataflow.lanes %y {layer = "output"} : (!dataflow.stream<tensor<3x2x!fixed.num<s5, 5>>, 1>) -> !dataflow.stream<tensor<3x2x!fixed.num<s5, 5>>, 2>
// CHECK-NEXT:     func.return %5 : !dataflow.stream<tensor<3x2x!fixed.num<s5, 5>>, 2>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      be4dbde2ec72d92ec: "0x0000803f000080bf0000004000000000"
    }
  }
#-}
