// RUN: calocc-opt %s -p exact-algebra | filecheck %s

// A convolution pads for itself. The image has one row, so that the first and last rows of its windows
// only ever lie on padding: one row of weights is left.

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%0: tensor<1x4x2x!fixed.num<s4, 2>> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<1x4x2x!fixed.num<s11, 7>> {calocc.name = "y"}) {
// CHECK-NEXT:     %1 = qnn.constant <bfb1b2089f9dd3f66 : tensor<1x3x2x2xi8>> {layer = "qnn.constant"} : tensor<1x3x2x2x!fixed.num<s4, 2>>
// CHECK-NEXT:     %2 = qnn.conv %0, %1 {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 1, 1>, layer = "conv"} : (tensor<1x4x2x!fixed.num<s4, 2>>, tensor<1x3x2x2x!fixed.num<s4, 2>>) -> tensor<1x4x2x!fixed.num<s11, 7>>
// CHECK-NEXT:     func.return %2 : tensor<1x4x2x!fixed.num<s11, 7>>
// CHECK-NEXT:   }
// CHECK-NEXT: }

builtin.module {
  func.func @main(%0: tensor<1x4x2x!fixed.num<s4, 2>> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<1x4x2x!fixed.num<s11, 7>> {calocc.name = "y"}) {
    %1 = qnn.pad %0 {padding = array<i64: 1, 1, 1, 0>, layer = "zero_pad"} : (tensor<1x4x2x!fixed.num<s4, 2>>) -> tensor<3x5x2x!fixed.num<s4, 2>>
    %2 = qnn.constant <b2b0cf782f820c04d : tensor<3x3x2x2xi8>> : tensor<3x3x2x2x!fixed.num<s4, 2>>
    %3 = qnn.conv %1, %2 {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 1>, layer = "conv"} : (tensor<3x5x2x!fixed.num<s4, 2>>, tensor<3x3x2x2x!fixed.num<s4, 2>>) -> tensor<1x4x2x!fixed.num<s11, 7>>
    func.return %3 : tensor<1x4x2x!fixed.num<s11, 7>>
  }
}

{-#
  dialect_resources: {
    fixed: {
      b2b0cf782f820c04d: "0x050200fcfcf8f9f8fa0502060001070302000006fc0502f8fe0500f8040305faf905f800"
    }
  }
#-}
