// RUN: calocc-opt %s -p canonicalize | filecheck %s

// The two lower rows of a padded sum of 3 x 3 pixels, rectified: they need the three lower rows of
// the image, and no padding above.

// CHECK:      func.func @rows
// CHECK-NEXT:   %p = qnn.slice %x {axis = 0 : i64, start = 1 : i64, stop = 4 : i64, layer = "crop"} : (tensor<4x4x1x!fixed.num<s4, 2>>) -> tensor<3x4x1x!fixed.num<s4, 2>>
// CHECK-NEXT:   %p_1 = qnn.pool %p {kind = #qnn<pooling sum>, size = array<i64: 3, 3>, strides = array<i64: 1, 1>, padding = array<i64: 0, 1, 1, 1>} : (tensor<3x4x1x!fixed.num<s4, 2>>) -> tensor<2x4x1x!fixed.num<s8, 6>>
// CHECK-NEXT:   %r = qnn.relu %p_1 : (tensor<2x4x1x!fixed.num<s8, 6>>) -> tensor<2x4x1x!fixed.num<u7, 6>>
// CHECK-NEXT:   func.return %r

func.func @rows(%x: tensor<4x4x1x!fixed.num<s4, 2>>) -> tensor<2x4x1x!fixed.num<u7, 6>> {
  %p = qnn.pool %x {kind = #qnn<pooling sum>, size = array<i64: 3, 3>, strides = array<i64: 1, 1>, padding = array<i64: 1, 1, 1, 1>} : (tensor<4x4x1x!fixed.num<s4, 2>>) -> tensor<4x4x1x!fixed.num<s8, 6>>
  %r = qnn.relu %p : (tensor<4x4x1x!fixed.num<s8, 6>>) -> tensor<4x4x1x!fixed.num<u7, 6>>
  %s = qnn.slice %r {axis = 0 : i64, start = 2 : i64, stop = 4 : i64, layer = "crop"} : (tensor<4x4x1x!fixed.num<u7, 6>>) -> tensor<2x4x1x!fixed.num<u7, 6>>
  func.return %s : tensor<2x4x1x!fixed.num<u7, 6>>
}

// A sequence is an image of one row: its steps are columns there.

// CHECK:      func.func @steps
// CHECK-NEXT:   %r = qnn.slice %x {axis = 1 : i64, start = 0 : i64, stop = 3 : i64, layer = "qnn.slice"}
// CHECK-NEXT:   %r_1 = qnn.reshape %r : (tensor<1x3x2x!fixed.num<s4, 2>>) -> tensor<3x2x!fixed.num<s4, 2>>
// CHECK-NEXT:   func.return %r_1

func.func @steps(%x: tensor<1x5x2x!fixed.num<s4, 2>>) -> tensor<3x2x!fixed.num<s4, 2>> {
  %r = qnn.reshape %x : (tensor<1x5x2x!fixed.num<s4, 2>>) -> tensor<5x2x!fixed.num<s4, 2>>
  %s = qnn.slice %r {axis = 0 : i64, start = 0 : i64, stop = 3 : i64} : (tensor<5x2x!fixed.num<s4, 2>>) -> tensor<3x2x!fixed.num<s4, 2>>
  func.return %s : tensor<3x2x!fixed.num<s4, 2>>
}

// What differs from channel to channel, and what others read, stays as it is.

// CHECK:      func.func @stay
// CHECK:        qnn.add
// CHECK-NEXT:   qnn.slice
// CHECK-NEXT:   qnn.relu
// CHECK-NEXT:   qnn.slice

func.func @stay(%x: tensor<2x2x!fixed.num<s4, 2>>) -> (tensor<2x1x!fixed.num<s5, 3>>, tensor<1x2x!fixed.num<u3, 2>>, tensor<2x2x!fixed.num<u3, 2>>) {
  %a = qnn.add %x, %x : (tensor<2x2x!fixed.num<s4, 2>>, tensor<2x2x!fixed.num<s4, 2>>) -> tensor<2x2x!fixed.num<s5, 3>>
  %c = qnn.slice %a {axis = 1 : i64, start = 0 : i64, stop = 1 : i64} : (tensor<2x2x!fixed.num<s5, 3>>) -> tensor<2x1x!fixed.num<s5, 3>>
  %r = qnn.relu %x : (tensor<2x2x!fixed.num<s4, 2>>) -> tensor<2x2x!fixed.num<u3, 2>>
  %s = qnn.slice %r {axis = 0 : i64, start = 0 : i64, stop = 1 : i64} : (tensor<2x2x!fixed.num<u3, 2>>) -> tensor<1x2x!fixed.num<u3, 2>>
  func.return %c, %s, %r : tensor<2x1x!fixed.num<s5, 3>>, tensor<1x2x!fixed.num<u3, 2>>, tensor<2x2x!fixed.num<u3, 2>>
}
