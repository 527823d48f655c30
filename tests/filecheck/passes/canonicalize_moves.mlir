// RUN: calocc-opt %s -p canonicalize | filecheck %s

// Movements there and back are none; the others are one each.

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%0: tensor<2x4x3x!fixed.num<s4, 2>> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<3x1x3x!fixed.num<u3, 1>> {calocc.name = "y"}) {
// CHECK-NEXT:     %1 = qnn.reshape %0 {layer = "ones"} : (tensor<2x4x3x!fixed.num<s4, 2>>) -> tensor<8x1x3x!fixed.num<s4, 2>>
// CHECK-NEXT:     %2 = qnn.slice %1 {axis = 0 : i64, start = 3 : i64, stop = 6 : i64, layer = "b"} : (tensor<8x1x3x!fixed.num<s4, 2>>) -> tensor<3x1x3x!fixed.num<s4, 2>>
// CHECK-NEXT:     %3 = qnn.relu %2 {layer = "relu"} : (tensor<3x1x3x!fixed.num<s4, 2>>) -> tensor<3x1x3x!fixed.num<u3, 1>>
// CHECK-NEXT:     func.return %3 : tensor<3x1x3x!fixed.num<u3, 1>>
// CHECK-NEXT:   }
// CHECK-NEXT: }

builtin.module {
  func.func @main(%0: tensor<2x4x3x!fixed.num<s4, 2>> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<3x1x3x!fixed.num<u3, 1>> {calocc.name = "y"}) {
    %1 = qnn.transpose %0 {permutation = array<i64: 1, 0, 2>, layer = "t"} : (tensor<2x4x3x!fixed.num<s4, 2>>) -> tensor<4x2x3x!fixed.num<s4, 2>>
    %2 = qnn.transpose %1 {permutation = array<i64: 1, 0, 2>, layer = "t2"} : (tensor<4x2x3x!fixed.num<s4, 2>>) -> tensor<2x4x3x!fixed.num<s4, 2>>
    %3 = qnn.slice %2 {axis = 1 : i64, start = 0 : i64, stop = 2 : i64, layer = "s0"} : (tensor<2x4x3x!fixed.num<s4, 2>>) -> tensor<2x2x3x!fixed.num<s4, 2>>
    %4 = qnn.slice %2 {axis = 1 : i64, start = 2 : i64, stop = 4 : i64, layer = "s2"} : (tensor<2x4x3x!fixed.num<s4, 2>>) -> tensor<2x2x3x!fixed.num<s4, 2>>
    %5 = qnn.concat %3, %4 {axis = 1 : i64, layer = "c"} : (tensor<2x2x3x!fixed.num<s4, 2>>, tensor<2x2x3x!fixed.num<s4, 2>>) -> tensor<2x4x3x!fixed.num<s4, 2>>
    %6 = qnn.reshape %5 {layer = "r"} : (tensor<2x4x3x!fixed.num<s4, 2>>) -> tensor<24x!fixed.num<s4, 2>>
    %7 = qnn.reshape %6 {layer = "r2"} : (tensor<24x!fixed.num<s4, 2>>) -> tensor<1x8x3x!fixed.num<s4, 2>>
    %8 = qnn.transpose %7 {permutation = array<i64: 1, 0, 2>, layer = "ones"} : (tensor<1x8x3x!fixed.num<s4, 2>>) -> tensor<8x1x3x!fixed.num<s4, 2>>
    %9 = qnn.slice %8 {axis = 0 : i64, start = 1 : i64, stop = 7 : i64, layer = "a"} : (tensor<8x1x3x!fixed.num<s4, 2>>) -> tensor<6x1x3x!fixed.num<s4, 2>>
    %10 = qnn.slice %9 {axis = 0 : i64, start = 2 : i64, stop = 5 : i64, layer = "b"} : (tensor<6x1x3x!fixed.num<s4, 2>>) -> tensor<3x1x3x!fixed.num<s4, 2>>
    %11 = qnn.relu %10 {layer = "relu"} : (tensor<3x1x3x!fixed.num<s4, 2>>) -> tensor<3x1x3x!fixed.num<u3, 1>>
    func.return %11 : tensor<3x1x3x!fixed.num<u3, 1>>
  }
}
