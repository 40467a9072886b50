//! What a head's first layer needs, against its definition in double precision.

use linf_cuda::{Array, add_signs, product, sum_sizes};
use linf_dist::Shape;

use crate::{gpu, normals, on, unwritten};

#[test]
fn products_are_those_of_the_definition() {
    for (seed, (batch, inputs, outputs)) in (1..).zip([(1, 1, 1), (5, 40, 3), (130, 17, 35), (33, 300, 70)]) {
        let (x, w, bias) = (normals(1, batch * inputs), normals(2, outputs * inputs), normals(3, outputs));
        for (multiprocessors, with_bias) in [(0, true), (5, false)] {
            let gpu = gpu(seed, multiprocessors);
            let (mut parts, mut y) = (Array::zeros(&gpu, 0).unwrap(), unwritten(&gpu, batch * outputs));
            let (on_x, on_w, on_bias) = (on(&gpu, &x), on(&gpu, &w), on(&gpu, &bias));
            let shape = Shape { batch, inputs, outputs };
            product(&*gpu, shape, 0.3, &on_x, &on_w, with_bias.then_some(&on_bias), &mut parts, &mut y).unwrap();
            for (pair, y) in y.to_vec().unwrap().into_iter().enumerate() {
                let (b, o) = (pair / outputs, pair % outputs);
                let terms = x[b * inputs..][..inputs].iter().zip(&w[o * inputs..][..inputs]);
                let terms = terms.map(|(x, w)| 0.3 * f64::from(*x) * f64::from(*w));
                let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
                let expected = sum + if with_bias { f64::from(bias[o]) } else { 0.0 };
                assert!((f64::from(y) - expected).abs() <= 2e-6 * (size + expected.abs()), "{shape:?}, pair {pair}");
            }
        }
    }
}

#[test]
fn sizes_of_rows_and_their_gradient() {
    for (outputs, inputs) in [(1, 1), (3, 31), (7, 500)] {
        let gpu = gpu(9, 1);
        let mut w = normals(1, outputs * inputs);
        w[0] = 0.0;
        let on_w = on(&gpu, &w);
        let mut sums = unwritten(&gpu, outputs);
        sum_sizes(&*gpu, outputs, inputs, &on_w, &mut sums).unwrap();
        for (sum, row) in sums.to_vec().unwrap().iter().zip(w.chunks(inputs)) {
            let expected: f64 = row.iter().map(|w| f64::from(w.abs())).sum();
            assert!((f64::from(*sum) - expected).abs() <= 1e-6 * expected);
        }
        let (slope, before) = (normals(2, outputs), normals(3, w.len()));
        let mut dw = on(&gpu, &before);
        add_signs(&*gpu, outputs, inputs, &mut dw, &on_w, &on(&gpu, &slope)).unwrap();
        for (k, dw) in dw.to_vec().unwrap().into_iter().enumerate() {
            let sign = if w[k] == 0.0 { 0.0 } else { w[k].signum() };
            assert_eq!(dw, before[k] + slope[k / inputs] * sign);
        }
    }
}
