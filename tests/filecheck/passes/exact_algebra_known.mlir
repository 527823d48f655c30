// RUN: calocc-opt %s -p exact-algebra | filecheck %s

// A rectifier of what is never positive gives zeros: the dense layer behind it multiplies the other
// branch alone, and what the known one adds is a constant.

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%0: tensor<2x3x!fixed.num<s4, 2>> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<2x2x!fixed.num<s12, 7>> {calocc.name = "y"}) {
// CHECK-NEXT:     %1 = qnn.constant <bdc12bd69bf77c142 : tensor<3x2xi8>> {layer = "qnn.constant"} : tensor<3x2x!fixed.num<s4, 2>>
// CHECK-NEXT:     %2 = qnn.dense %0, %1 {layer = "dense"} : (tensor<2x3x!fixed.num<s4, 2>>, tensor<3x2x!fixed.num<s4, 2>>) -> tensor<2x2x!fixed.num<s9, 5>>
// CHECK-NEXT:     %3 = qnn.constant <b4307fbbb7e5b7c8f : tensor<2xi8>> {layer = "dense"} : tensor<2x!fixed.num<s6, 1>>
// CHECK-NEXT:     %4 = qnn.add %2, %3 {layer = "dense"} : (tensor<2x2x!fixed.num<s9, 5>>, tensor<2x!fixed.num<s6, 1>>) -> tensor<2x2x!fixed.num<s12, 7>>
// CHECK-NEXT:     func.return %4 : tensor<2x2x!fixed.num<s12, 7>>
// CHECK-NEXT:   }
// CHECK-NEXT: }

builtin.module {
  func.func @main(%0: tensor<2x3x!fixed.num<s4, 2>> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<2x2x!fixed.num<s12, 7>> {calocc.name = "y"}) {
    %1 = qnn.constant <b515aa9edafc94dce : tensor<3xi8>> : tensor<3x!fixed.num<s8, 8>>
    %2 = qnn.add %0, %1 {layer = "never"} : (tensor<2x3x!fixed.num<s4, 2>>, tensor<3x!fixed.num<s8, 8>>) -> tensor<2x3x!fixed.num<s10, 8>>
    %3 = qnn.quantize %2 {rounding = #fixed<rounding rnd>, overflow = #fixed<overflow sat>, layer = "never_relu"} : (tensor<2x3x!fixed.num<s10, 8>>) -> tensor<2x3x!fixed.num<u4, 2>>
    %4 = qnn.constant <b6c137d127c5d936d : tensor<3xi8>> : tensor<3x!fixed.num<s5, 2>>
    %5 = qnn.add %3, %4 {layer = "known"} : (tensor<2x3x!fixed.num<u4, 2>>, tensor<3x!fixed.num<s5, 2>>) -> tensor<2x3x!fixed.num<s7, 4>>
    %6 = qnn.concat %0, %5 {axis = 1 : i64, layer = "join"} : (tensor<2x3x!fixed.num<s4, 2>>, tensor<2x3x!fixed.num<s7, 4>>) -> tensor<2x6x!fixed.num<s7, 4>>
    %7 = qnn.constant <b8891b8e096bf10e8 : tensor<6x2xi8>> : tensor<6x2x!fixed.num<s4, 2>>
    %8 = qnn.dense %6, %7 {layer = "dense"} : (tensor<2x6x!fixed.num<s7, 4>>, tensor<6x2x!fixed.num<s4, 2>>) -> tensor<2x2x!fixed.num<s12, 7>>
    func.return %8 : tensor<2x2x!fixed.num<s12, 7>>
  }
}

{-#
  dialect_resources: {
    fixed: {
      b515aa9edafc94dce: "0x9c9c9c",b6c137d127c5d936d: "0x09f2f5",b8891b8e096bf10e8: "0xfbfa040501f8f9fdfe01fffc"
    }
  }
#-}
