//! A net as a table: one line a layer, with shapes and parameter counts.

use crate::dist::{Planes, Window};
use crate::experiment::Config;
use crate::net::{End, LayerShape, NetShape};

use super::table::{Side, Table};

/// The layers of a config's net, first to last, the scalar where the loss has one, and the sum.
pub fn layers(config: &Config) -> String {
    let (shape, loss) = (NetShape::new(config), config.loss.kind);
    let mut table = Table::new([
        ("layer", Side::Right),
        ("what", Side::Left),
        ("in", Side::Right),
        ("out", Side::Right),
        ("then", Side::Left),
        ("parameters", Side::Right),
        ("pairs/image", Side::Right),
    ]);
    let count = shape.layers().len();
    let mut number = 0;
    let mut row = |what: String, from: String, to: String, then: &str, parameters: usize, pairs: Option<usize>| {
        number += 1;
        let pairs = pairs.map_or_else(|| "–".into(), grouped);
        table.row([number.to_string(), what, from, to, then.into(), grouped(parameters), pairs]);
    };
    for (index, layer) in shape.layers().iter().enumerate() {
        let form = layer.form;
        let (then, biases) = match shape.end() {
            End::Distances if index + 1 == count => ("bias", layer.outputs()),
            _ => ("mean shift", 0),
        };
        let parameters = form.weights() + biases;
        row(what(layer), planes(form.input()), planes(form.output()), then, parameters, Some(form.pairs()));
    }
    if let End::Head(head) = shape.end() {
        let [first, second] = head.parameters();
        let (features, hidden) = (head.features.to_string(), head.hidden.to_string());
        row("linear".into(), features, hidden.clone(), "tanh", first, None);
        row("linear".into(), hidden, head.classes.to_string(), "", second, None);
    }
    let scalar = if loss.has_lambda() { "and a scalar that scales the logits inside the cross-entropy: " } else { "" };
    let (parameters, pairs) = (grouped(shape.parameters(loss)), grouped(shape.pairs()));
    format!("{table}{scalar}{parameters} parameters, {pairs} pairs an image\n")
}

fn what(layer: &LayerShape) -> String {
    let Window { kernel, stride, pad, dilation } = layer.form.window();
    let mut what = match layer.keep {
        None => "distance".to_owned(),
        Some(keep) => format!("sort, q = {keep}"),
    };
    if layer.form.input().positions() > 1 {
        what += &format!(", {kernel}×{kernel}");
    }
    for (name, value, usual) in
        [("stride", stride, 1), ("pad", pad, 0), ("dilation", dilation, 1), ("groups", layer.form.groups(), 1)]
    {
        if value != usual {
            what += &format!(", {name} {value}");
        }
    }
    what
}

fn planes(planes: Planes) -> String {
    let Planes { channels, height, width } = planes;
    if planes.positions() == 1 { channels.to_string() } else { format!("{channels}×{height}×{width}") }
}

/// Digits in threes.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::parse;

    fn table(model: &str) -> String {
        let text = format!(
            "data.dataset = 'cifar10'\nmodel = {{ {model} }}\ntrain = {{ epochs = 1, batch_size = 8, lr = 0.1 }}\n\
             schedule = {{ ramp_start = 0, ramp_end = 1 }}\nloss = {{ lambda = 0.1, eps_train = 0.1 }}\neval.eps = 0.1"
        );
        layers(&parse(&text).unwrap()).replace('\u{202f}', " ")
    }

    #[test]
    fn each_layer_has_its_line() {
        let conv = "conv = [{ outputs = 96, kernel = 3, pad = 1, repeat = 2 }, { outputs = 192, kernel = 3, stride = 2, pad = 1 }]";
        let found = table(&format!("depth = 1, width = 1024, hidden = 512, {conv}"));
        let expected = "\
layer  what                              in         out  then        parameters  pairs/image
    1  distance, 3×3, pad 1         3×32×32    96×32×32  mean shift       2 592    2 654 208
    2  distance, 3×3, pad 1        96×32×32    96×32×32  mean shift      82 944   84 934 656
    3  distance, 3×3, stride 2, pad 1  96×32×32  192×16×16  mean shift  165 888   42 467 328
    4  distance                       49152        1024  mean shift  50 331 648   50 331 648
    5  linear                          1024         512  tanh           524 800            –
    6  linear                           512          10                   5 130            –
and a scalar that scales the logits inside the cross-entropy: 51 113 003 parameters, 180 387 840 pairs an image
";
        let words = |text: &str| -> Vec<Vec<String>> {
            text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
        };
        assert_eq!(words(&found), words(expected), "{found}");
    }

    #[test]
    fn sort_neurons_and_groups_are_named() {
        let found = table("depth = 3, width = 8, kind = 'sort-net', keep = 0.7");
        assert!(found.lines().nth(1).unwrap().contains("distance ") && found.contains("sort, q = 0.7"), "{found}");
        assert!(found.lines().nth(3).unwrap().contains("bias"), "{found}");
        assert!(table("depth = 3, width = 8, groups = 4").contains("distance, groups 4"));
    }

    #[test]
    fn digits_stand_in_threes() {
        let all = [7, 70, 700, 7_000, 123_213_323].map(|number| grouped(number).replace('\u{202f}', "'"));
        assert_eq!(all, ["7", "70", "700", "7'000", "123'213'323"]);
    }
}
