//! Polynomials of least worst-case error, fitted when p changes.

/// Coefficients c₀ … c_degree of the polynomial in x that minimises the greatest weight(x)·|c(x) − f(x)| over
/// [lo, hi], by Remez exchange on a fine grid.
pub(super) fn minimax(
    degree: usize,
    lo: f64,
    hi: f64,
    f: impl Fn(f64) -> f64,
    weight: impl Fn(f64) -> f64,
) -> Vec<f64> {
    const GRID: usize = 512;
    const EXCHANGES: usize = 12;
    const NEGLIGIBLE: f64 = 1e-12;
    let unknowns = degree + 2;
    let at = |t: f64| 0.5 * (lo + hi) + 0.5 * (hi - lo) * t;
    let chebyshev = |k: usize, n: usize| at(-(std::f64::consts::PI * k as f64 / n as f64).cos());
    let mut nodes: Vec<f64> = (0..unknowns).map(|k| chebyshev(k, unknowns - 1)).collect();
    let mut coefficients = Vec::new();
    for _ in 0..EXCHANGES {
        // The polynomial whose weighted errors at the nodes are equal and alternate in sign.
        let rows = nodes.iter().enumerate().map(|(k, &x)| {
            let mut row: Vec<f64> = (0..=degree).map(|j| x.powi(j as i32)).collect();
            row.push(if k % 2 == 0 { 1.0 } else { -1.0 } / weight(x));
            row.push(f(x));
            row
        });
        let mut solution = solve(rows.collect());
        solution.pop();
        coefficients = solution;
        // The next nodes: where the error is greatest in each stretch of one sign.
        let mut extrema: Vec<(f64, f64)> = Vec::new();
        for k in 0..=GRID {
            let x = chebyshev(k, GRID);
            let error = weight(x) * (evaluate(&coefficients, x) - f(x));
            match extrema.last_mut() {
                Some(last) if (last.1 < 0.0) == (error < 0.0) => {
                    if error.abs() > last.1.abs() {
                        *last = (x, error);
                    }
                }
                _ => extrema.push((x, error)),
            }
        }
        while extrema.len() > unknowns {
            let first_is_smaller = extrema[0].1.abs() < extrema[extrema.len() - 1].1.abs();
            extrema.remove(if first_is_smaller { 0 } else { extrema.len() - 1 });
        }
        let greatest = extrema.iter().fold(0f64, |m, (_, error)| m.max(error.abs()));
        if extrema.len() < unknowns || greatest < NEGLIGIBLE {
            // f is a polynomial of this degree but for rounding, in which there are no nodes to find.
            break;
        }
        nodes = extrema.into_iter().map(|(x, _)| x).collect();
    }
    coefficients
}

/// Coefficients of the polynomial through f at the Chebyshev points of [lo, hi], N = degree + 1 of them: within a small
/// factor of [`minimax`] for smooth f, at a fraction of its cost.
pub(super) fn interpolate<const N: usize>(lo: f64, hi: f64, f: impl Fn(f64) -> f64) -> [f64; N] {
    let rows = (0..N).map(|k| {
        let t = (std::f64::consts::PI * (k as f64 + 0.5) / N as f64).cos();
        let x = 0.5 * (lo + hi) + 0.5 * (hi - lo) * t;
        (0..N).map(|j| x.powi(j as i32)).chain([f(x)]).collect()
    });
    let mut coefficients = [0.0; N];
    coefficients.copy_from_slice(&solve(rows.collect()));
    coefficients
}

/// [`minimax`] with N = degree + 1 coefficients, rounded to f32.
pub(super) fn minimax_f32<const N: usize>(
    lo: f64,
    hi: f64,
    f: impl Fn(f64) -> f64,
    weight: impl Fn(f64) -> f64,
) -> [f32; N] {
    let mut rounded = [0.0; N];
    for (to, from) in rounded.iter_mut().zip(minimax(N - 1, lo, hi, f, weight)) {
        *to = from as f32;
    }
    rounded
}

fn evaluate(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

/// Solves a linear system given as rows of coefficients followed by the right-hand side.
fn solve(mut rows: Vec<Vec<f64>>) -> Vec<f64> {
    let n = rows.len();
    for column in 0..n {
        let pivot = (column..n).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()));
        rows.swap(column, pivot.unwrap_or(column));
        let (above, below) = rows.split_at_mut(column + 1);
        let pivot_row = &above[column];
        for row in below {
            let factor = row[column] / pivot_row[column];
            for (a, b) in row.iter_mut().zip(pivot_row).skip(column) {
                *a -= factor * b;
            }
        }
    }
    let mut solution = vec![0.0; n];
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|k| rows[row][k] * solution[k]).sum();
        solution[row] = (rows[row][n] - known) / rows[row][row];
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_small_and_level() {
        let c = minimax(5, -0.5, 0.5, f64::exp2, |_| 1.0);
        let errors: Vec<f64> =
            (0..=1000).map(|k| k as f64 / 1000.0 - 0.5).map(|x| evaluate(&c, x) - x.exp2()).collect();
        let (low, high) = errors.iter().fold((0f64, 0f64), |(lo, hi), &e| (lo.min(e), hi.max(e)));
        assert!(high < 8e-8 && low > -8e-8, "{low} {high}");
        assert!((high + low).abs() < 0.02 * high, "{low} {high}");
    }

    #[test]
    fn interpolation_is_nearly_as_good() {
        let c = interpolate::<6>(-0.5, 0.5, f64::exp2);
        for x in (0..=100).map(|k| f64::from(k) / 100.0 - 0.5) {
            assert!((evaluate(&c, x) - x.exp2()).abs() < 1.5e-7);
        }
    }

    #[test]
    fn a_polynomial_is_found_exactly() {
        let c = minimax(5, 1.0, 2.0, |x| x * x, |x| 1.0 / (x * x));
        for x in [1.0, 1.3, 2.0] {
            assert!((evaluate(&c, x) - x * x).abs() < 1e-12);
        }
    }
}
