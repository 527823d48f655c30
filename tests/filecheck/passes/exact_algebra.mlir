// RUN: calocc-opt %s -p exact-algebra | filecheck %s

// A convolution over columns that are there three times: its three taps become three kernels in front
// of the copies, a dense
// layer, whose products are added. The pooling reads ten of twelve columns; no more are summed.

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: tensor<2x4x4x!fixed.num<s4, 2>> {calocc.name = "x"}) -> (tensor<2x2x2x!fixed.num<s10, 8>> {calocc.name = "y"}) {
// CHECK-NEXT:     %0 = qnn.constant <bab7f7c271fbf0717 : tensor<4x6xi8>> {layer = "qnn.constant"} : tensor<4x6x!fixed.num<s4, 4>>
// CHECK-NEXT:     %1 = qnn.dense %x, %0 {layer = "conv"} : (tensor<2x4x4x!fixed.num<s4, 2>>, tensor<4x6x!fixed.num<s4, 4>>) -> tensor<2x4x6x!fixed.num<s9, 7>>
// CHECK-NEXT:     %c = qnn.tap_sum %1 {axis = 1 : i64, taps = 3 : i64, factor = 3 : i64, stride = 1 : i64, dilation = 1 : i64, start = -1 : i64, layer = "conv"} : (tensor<2x4x6x!fixed.num<s9, 7>>) -> tensor<2x10x2x!fixed.num<s10, 8>>
// CHECK-NEXT:     %m = qnn.pool %c {kind = #qnn<pooling max>, size = array<i64: 1, 5>, strides = array<i64: 1, 5>, padding = array<i64: 0, 0, 0, 0>} : (tensor<2x10x2x!fixed.num<s10, 8>>) -> tensor<2x2x2x!fixed.num<s10, 8>>
// CHECK-NEXT:     func.return %m : tensor<2x2x2x!fixed.num<s10, 8>>
// CHECK-NEXT:   }
// CHECK-NEXT: }

builtin.module {
  func.func @main(%x: tensor<2x4x4x!fixed.num<s4, 2>> {calocc.name = "x"}) -> (tensor<2x2x2x!fixed.num<s10, 8>> {calocc.name = "y"}) {
    %u = qnn.upsample %x {factors = array<i64: 1, 3>, layer = "up"} : (tensor<2x4x4x!fixed.num<s4, 2>>) -> tensor<2x12x4x!fixed.num<s4, 2>>
    %w = qnn.constant <b1b4899409d54552a : tensor<1x3x4x2xi8>> : tensor<1x3x4x2x!fixed.num<s4, 4>>
    %c = qnn.conv %u, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 1, 1>, layer = "conv"} : (tensor<2x12x4x!fixed.num<s4, 2>>, tensor<1x3x4x2x!fixed.num<s4, 4>>) -> tensor<2x12x2x!fixed.num<s10, 8>>
    %m = qnn.pool %c {kind = #qnn<pooling max>, size = array<i64: 1, 5>, strides = array<i64: 1, 5>, padding = array<i64: 0, 0, 0, 0>} : (tensor<2x12x2x!fixed.num<s10, 8>>) -> tensor<2x2x2x!fixed.num<s10, 8>>
    func.return %m : tensor<2x2x2x!fixed.num<s10, 8>>
  }
}

{-#
  dialect_resources: {
    fixed: {
      b1b4899409d54552a: "0xf8fd0207fc0106fb0005faff04f9fe03f8fd0207fc0106fb"
    }
  }
#-}
