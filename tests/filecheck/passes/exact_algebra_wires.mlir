// RUN: calocc-opt %s -p exact-algebra | filecheck %s

// A convolution of single pixels between reshapes is a dense layer, and its activation follows it.

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%0: tensor<6x4x!fixed.num<s4, 2>> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<6x3x!fixed.num<u4, 2>> {calocc.name = "y"}) {
// CHECK-NEXT:     %1 = qnn.constant <b0f4cfdb99a17160b : tensor<4x3xi8>> {layer = "qnn.constant"} : tensor<4x3x!fixed.num<s4, 2>>
// CHECK-NEXT:     %2 = qnn.dense %0, %1 {layer = "dense"} : (tensor<6x4x!fixed.num<s4, 2>>, tensor<4x3x!fixed.num<s4, 2>>) -> tensor<6x3x!fixed.num<s9, 5>>
// CHECK-NEXT:     %3 = qnn.quantize %2 {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>, layer = "act"} : (tensor<6x3x!fixed.num<s9, 5>>) -> tensor<6x3x!fixed.num<u4, 2>>
// CHECK-NEXT:     func.return %3 : tensor<6x3x!fixed.num<u4, 2>>
// CHECK-NEXT:   }
// CHECK-NEXT: }

builtin.module {
  func.func @main(%0: tensor<6x4x!fixed.num<s4, 2>> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<6x3x!fixed.num<u4, 2>> {calocc.name = "y"}) {
    %1 = qnn.reshape %0 {layer = "dense"} : (tensor<6x4x!fixed.num<s4, 2>>) -> tensor<1x6x4x!fixed.num<s4, 2>>
    %2 = qnn.constant <b0f4cfdb99a17160b : tensor<1x1x4x3xi8>> : tensor<1x1x4x3x!fixed.num<s4, 2>>
    %3 = qnn.conv %1, %2 {strides = array<i64: 1, 1>, padding = array<i64: 0, 0, 0, 0>, layer = "dense"} : (tensor<1x6x4x!fixed.num<s4, 2>>, tensor<1x1x4x3x!fixed.num<s4, 2>>) -> tensor<1x6x3x!fixed.num<s9, 5>>
    %4 = qnn.reshape %3 {layer = "dense"} : (tensor<1x6x3x!fixed.num<s9, 5>>) -> tensor<6x3x!fixed.num<s9, 5>>
    %5 = qnn.quantize %4 {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>, layer = "act"} : (tensor<6x3x!fixed.num<s9, 5>>) -> tensor<6x3x!fixed.num<u4, 2>>
    func.return %5 : tensor<6x3x!fixed.num<u4, 2>>
  }
}

{-#
  dialect_resources: {
    fixed: {
      b0f4cfdb99a17160b: "0x050200fcfcf8f9f8fa050206"
    }
  }
#-}
