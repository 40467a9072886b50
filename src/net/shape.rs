//! The layers of a net, from its config: the one builder of every net of the family.

use std::fmt;

use crate::dist::{Form, FormError, Planes, SortProfile, Window};
use crate::experiment::{Config, LossKind, Model};

/// A net: distance layers, and what makes logits of the last one's outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct NetShape {
    image: Planes,
    layers: Vec<LayerShape>,
    end: End,
}

/// One distance layer. Hidden ones are followed by a mean shift; the last of a net without a head by a bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerShape {
    /// What each neuron sees.
    pub form: Form,
    /// SortNet's share q of the inputs that dropout keeps in training; the neurons are the mean of that, sort neurons.
    /// `None`: plain distances.
    pub keep: Option<f64>,
    /// How its input has to be turned.
    pub turn: Turn,
}

/// What is done to a layer's input. Images and flat layers count channel by channel, convolutions position by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    Stay,
    /// `[C, H·W]` to `[H·W, C]`.
    ToPositions(Planes),
    /// `[H·W, C]` to `[C, H·W]`.
    ToChannels(Planes),
}

/// What makes the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The last layer's distances with a bias, negated.
    Distances,
    /// Linear, tanh, linear (arXiv 2102.05363 §5).
    Head(HeadShape),
}

/// The sizes of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadShape {
    /// Features: the outputs of the last distance layer.
    pub features: usize,
    /// Units with tanh.
    pub hidden: usize,
    /// Logits.
    pub classes: usize,
    /// How the features have to be turned.
    pub turn: Turn,
}

/// Why a config describes no net.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A layer cannot be.
    #[error("model: distance layer {layer}: {error}")]
    Layer {
        /// From 1.
        layer: usize,
        /// Why.
        error: FormError,
    },
    /// Nothing but a head.
    #[error("model: a net needs a distance layer: give model.depth or model.conv")]
    NoLayers,
}

impl LayerShape {
    /// A dense layer of plain distances.
    ///
    /// # Errors
    /// If it has no inputs or no outputs.
    pub fn dense(inputs: usize, outputs: usize) -> Result<LayerShape, FormError> {
        Ok(LayerShape { form: Form::dense(inputs, outputs)?, keep: None, turn: Turn::Stay })
    }

    /// Inputs of each neuron.
    pub fn inputs(&self) -> usize {
        self.form.patch()
    }

    /// Neurons; each has a row of weights.
    pub fn outputs(&self) -> usize {
        self.form.output().channels
    }

    /// The weights of the largest differences, where the neurons sort.
    pub fn profile(&self) -> Option<SortProfile> {
        self.keep.map(|keep| SortProfile::geometric(keep, self.inputs()))
    }
}

/// Lays layer upon layer.
struct Builder<'a> {
    model: &'a Model,
    layers: Vec<LayerShape>,
    /// What the last layer gives.
    at: Planes,
    /// Whether that is counted position by position.
    by_position: bool,
}

impl Builder<'_> {
    fn push(&mut self, input: Planes, outputs: usize, groups: usize, window: Window) -> Result<(), ShapeError> {
        let layer = self.layers.len() + 1;
        let form = Form::new(input, outputs, groups, window).map_err(|error| ShapeError::Layer { layer, error })?;
        let turn = self.turn(input.positions() > 1);
        // The first layer sees the image as it is: dropping pixels is no part of SortNet.
        let keep = self.model.keep.filter(|_| layer > 1);
        self.layers.push(LayerShape { form, keep, turn });
        (self.at, self.by_position) = (form.output(), true);
        Ok(())
    }

    fn turn(&self, by_position: bool) -> Turn {
        // With one position or one channel both orders are the same.
        let same = self.at.positions() == 1 || self.at.channels == 1 || by_position == self.by_position;
        match (same, by_position) {
            (true, _) => Turn::Stay,
            (false, true) => Turn::ToPositions(self.at),
            (false, false) => Turn::ToChannels(self.at),
        }
    }

    fn dense(&mut self, outputs: usize, groups: usize) -> Result<(), ShapeError> {
        self.push(Planes::flat(self.at.values()), outputs, groups, Window::POINT)
    }
}

impl NetShape {
    /// The net of a config: convolutions, then `depth` dense layers, then a head where `hidden` asks for one. Without a
    /// head the last dense layer gives the classes.
    ///
    /// # Panics
    /// If the config was not checked: parsing refuses windows that do not fit and groups that do not divide.
    pub fn new(config: &Config) -> NetShape {
        let view = config.data.view();
        let image = Planes { channels: view.channels(), height: view.height(), width: view.width() };
        NetShape::build(&config.model, image, view.id.classes())
            .unwrap_or_else(|error| panic!("the config was not checked: {error}"))
    }

    fn build(model: &Model, image: Planes, classes: usize) -> Result<NetShape, ShapeError> {
        let mut builder = Builder { model, layers: Vec::new(), at: image, by_position: false };
        for conv in &model.conv {
            let window = Window { kernel: conv.kernel, stride: conv.stride, pad: conv.pad, dilation: conv.dilation };
            for _ in 0..conv.repeat {
                builder.push(builder.at, conv.outputs, conv.groups, window)?;
            }
        }
        for layer in 1..=model.depth {
            let is_last = layer == model.depth && model.hidden.is_none();
            let groups = if layer == 1 || is_last { 1 } else { model.groups };
            builder.dense(if is_last { classes } else { model.width }, groups)?;
        }
        let end = match model.hidden {
            None => End::Distances,
            Some(hidden) => {
                let (features, turn) = (builder.at.values(), builder.turn(false));
                End::Head(HeadShape { features, hidden, classes, turn })
            }
        };
        let shape = NetShape { image, layers: builder.layers, end };
        if shape.layers.is_empty() || shape.end == End::Distances && model.depth == 0 {
            return Err(ShapeError::NoLayers);
        }
        Ok(shape)
    }

    /// A net of plain dense distance layers: the values of an image, the outputs of each layer.
    ///
    /// # Errors
    /// If a size is 0 or there is no layer.
    pub fn dense(widths: &[usize]) -> Result<NetShape, ShapeError> {
        let layer = |(index, pair): (usize, &[usize])| {
            LayerShape::dense(pair[0], pair[1]).map_err(|error| ShapeError::Layer { layer: index + 1, error })
        };
        let layers = widths.windows(2).enumerate().map(layer).collect::<Result<Vec<_>, _>>()?;
        let image = Planes::flat(*widths.first().ok_or(ShapeError::NoLayers)?);
        if layers.is_empty() { Err(ShapeError::NoLayers) } else { Ok(NetShape { image, layers, end: End::Distances }) }
    }

    /// The distance layers, first to last; never empty.
    pub fn layers(&self) -> &[LayerShape] {
        &self.layers
    }

    /// What makes the logits.
    pub fn end(&self) -> End {
        self.end
    }

    /// Size of an image.
    pub fn image(&self) -> Planes {
        self.image
    }

    /// Values of an image.
    pub fn inputs(&self) -> usize {
        self.image.values()
    }

    /// Logits.
    pub fn classes(&self) -> usize {
        match self.end {
            End::Distances => self.layers.last().map_or(0, LayerShape::outputs),
            End::Head(head) => head.classes,
        }
    }

    /// Numbers that this loss trains: weights, biases, and the scalar where it has one.
    pub fn parameters(&self, loss: LossKind) -> usize {
        let weights: usize = self.layers.iter().map(|layer| layer.form.weights()).sum();
        let end = match self.end {
            End::Distances => self.classes(),
            End::Head(head) => head.parameters().into_iter().sum(),
        };
        weights + end + usize::from(loss.has_lambda())
    }

    /// Pairs |x − w| that one image costs: one a weight and output position.
    pub fn pairs(&self) -> usize {
        self.layers.iter().map(|layer| layer.form.pairs()).sum()
    }
}

impl HeadShape {
    /// Trained numbers of the two linear layers, weights and biases.
    pub fn parameters(&self) -> [usize; 2] {
        [(self.features + 1) * self.hidden, (self.hidden + 1) * self.classes]
    }
}

impl fmt::Display for NetShape {
    /// `784-512×4-10`; a convolution of kernel k and stride s is `96c3/2`, a head `-512t-10`, sort neurons end it all
    /// with ` q=0.7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inputs())?;
        let name = |layer: &LayerShape| {
            let window = layer.form.window();
            let mut name = layer.outputs().to_string();
            if layer.form.input().positions() > 1 {
                name += &format!("c{}", window.kernel);
            }
            if window.stride > 1 {
                name += &format!("/{}", window.stride);
            }
            name
        };
        let names: Vec<String> = self.layers.iter().map(name).collect();
        for same in names.chunk_by(|a, b| a == b) {
            write!(f, "-{}", same[0])?;
            if same.len() > 1 {
                write!(f, "×{}", same.len())?;
            }
        }
        if let End::Head(head) = self.end {
            write!(f, "-{}t-{}", head.hidden, head.classes)?;
        }
        match self.layers.iter().find_map(|layer| layer.keep) {
            Some(keep) => write!(f, " q={keep}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Conv;

    const GREY: Planes = Planes { channels: 1, height: 28, width: 28 };
    const CIFAR: Planes = Planes { channels: 3, height: 32, width: 32 };
    const CENTRE: Planes = Planes { channels: 3, height: 56, width: 56 };
    const LARGE: Planes = Planes { channels: 3, height: 64, width: 64 };

    fn model(depth: usize, width: usize, hidden: Option<usize>) -> Model {
        Model { depth, width, hidden, ..Model::default() }
    }

    fn conv(outputs: usize, kernel: usize, stride: usize, pad: usize, repeat: usize) -> Conv {
        Conv { outputs, kernel, stride, pad, repeat, ..Conv::default() }
    }

    /// The trunk of the 2021 convolutional nets at width 3.
    fn trunk() -> Vec<Conv> {
        vec![conv(96, 3, 1, 1, 2), conv(192, 3, 2, 1, 1), conv(192, 3, 1, 1, 2)]
    }

    /// SortHybrid2: the whole image but for 4 pixels in each of 2×2 positions.
    fn twice() -> Vec<Conv> {
        vec![conv(5120, 60, 4, 0, 1), conv(5120, 1, 1, 0, 4)]
    }

    #[test]
    fn parameter_counts_are_the_published_ones() {
        use LossKind::{CeHinge, CrossEntropy, Hinge, Mixture};
        let twice = |hidden| Model { conv: twice(), ..model(0, 1, Some(hidden)) };
        let rows = [
            ("ICML 2021 MNIST", model(5, 5120, None), GREY, 10, Hinge, 82_708_490),
            ("ICML 2021 CIFAR-10", model(6, 5120, None), CIFAR, 10, Hinge, 120_637_450),
            ("ICML 2021 MNIST, head", model(4, 5120, Some(256)), GREY, 10, CrossEntropy, 83_970_826),
            ("ICML 2021 Fashion-MNIST, head", model(4, 5120, Some(512)), GREY, 10, CrossEntropy, 85_284_362),
            ("ICML 2021 CIFAR-10, head", model(5, 5120, Some(512)), CIFAR, 10, CrossEntropy, 123_213_322),
            ("ICML 2021 TinyImageNet, head", model(5, 5120, Some(512)), CENTRE, 200, CrossEntropy, 155_751_112),
            ("ICLR 2022 MNIST", model(5, 5120, None), GREY, 10, Mixture, 82_708_491),
            ("NeurIPS 2022 CIFAR-10, head", model(5, 5120, Some(512)), CIFAR, 10, CeHinge, 123_213_323),
            ("NeurIPS 2022 TinyImageNet, head", model(5, 5120, Some(512)), LARGE, 200, CeHinge, 170_496_713),
            ("NeurIPS 2022 ImageNet64, head", model(5, 5120, Some(2048)), LARGE, 1000, CeHinge, 180_308_969),
            ("NeurIPS 2022 TinyImageNet, 2x", twice(512), LARGE, 200, CeHinge, 170_742_473),
            ("NeurIPS 2022 ImageNet64, 2x", twice(2048), LARGE, 1000, CeHinge, 204_147_689),
        ];
        for (name, model, image, classes, loss, parameters) in rows {
            assert_eq!(NetShape::build(&model, image, classes).unwrap().parameters(loss), parameters, "{name}");
        }
        let convolutional = Model { conv: trunk(), ..model(1, 1024, Some(512)) };
        let shape = NetShape::build(&convolutional, CIFAR, 10).unwrap();
        let weights: usize = shape.layers().iter().map(|layer| layer.form.weights()).sum();
        assert_eq!(weights, 51_246_624);
    }

    #[test]
    fn written_as_in_papers() {
        let write = |model: Model, image, classes| NetShape::build(&model, image, classes).unwrap().to_string();
        assert_eq!(write(model(5, 512, None), GREY, 10), "784-512×4-10");
        assert_eq!(write(model(2, 64, None), GREY, 10), "784-64-10");
        let conv = Model { conv: trunk(), ..model(1, 1024, Some(512)) };
        assert_eq!(write(conv, CIFAR, 10), "3072-96c3×2-192c3/2-192c3×2-1024-512t-10");
        let sort = Model { conv: twice(), keep: Some(0.7), ..model(0, 1, Some(512)) };
        assert_eq!(write(sort, LARGE, 200), "12288-5120c60/4-5120c1×4-512t-200 q=0.7");
    }

    #[test]
    fn images_and_flat_layers_count_by_channel_and_convolutions_by_position() {
        let convolutional = Model { conv: trunk(), ..model(1, 1024, Some(512)) };
        let shape = NetShape::build(&convolutional, CIFAR, 10).unwrap();
        let turns: Vec<Turn> = shape.layers().iter().map(|layer| layer.turn).collect();
        let last = Planes { channels: 192, height: 16, width: 16 };
        let expected = [vec![Turn::ToPositions(CIFAR)], vec![Turn::Stay; 4], vec![Turn::ToChannels(last)]].concat();
        assert_eq!(turns, expected);
        let End::Head(head) = shape.end() else { panic!("it has a head") };
        assert_eq!((head.features, head.turn), (1024, Turn::Stay));
        let shape = NetShape::build(&Model { conv: twice(), ..model(0, 1, Some(512)) }, LARGE, 200).unwrap();
        let End::Head(head) = shape.end() else { panic!("it has a head") };
        let last = Planes { channels: 5120, height: 2, width: 2 };
        assert_eq!((head.features, head.turn), (20_480, Turn::ToChannels(last)));
        // A grey image is the same both ways, and a flat layer takes it as it is.
        assert!(NetShape::build(&model(5, 64, None), CIFAR, 10).unwrap().layers().iter().all(|l| l.turn == Turn::Stay));
    }

    #[test]
    fn every_layer_but_the_first_sorts() {
        let shape = NetShape::build(&Model { keep: Some(0.75), ..model(4, 32, None) }, GREY, 10).unwrap();
        let keeps: Vec<_> = shape.layers().iter().map(|layer| layer.keep).collect();
        assert_eq!(keeps, [None, Some(0.75), Some(0.75), Some(0.75)]);
    }

    #[test]
    fn groups_are_between_hidden_layers() {
        let shape = NetShape::build(&Model { groups: 4, ..model(4, 32, None) }, GREY, 10).unwrap();
        let groups: Vec<_> = shape.layers().iter().map(|layer| layer.form.groups()).collect();
        assert_eq!(groups, [1, 4, 4, 1]);
        assert_eq!(shape.parameters(LossKind::Mixture), 784 * 32 + 2 * 32 * 8 + 320 + 10 + 1);
        let error = NetShape::build(&Model { groups: 5, ..model(4, 32, None) }, GREY, 10).unwrap_err();
        assert_eq!(
            error.to_string(),
            "model: distance layer 2: 5 groups do not divide 32 input channels and 32 outputs"
        );
    }

    #[test]
    fn what_parsing_lets_through_can_be_built() {
        use crate::experiment::parse;
        let with = |model: &str| {
            parse(&format!(
                "data.dataset = 'cifar10'\nmodel = {{ {model} }}\ntrain = {{ epochs = 1, batch_size = 8, lr = 0.1 }}\n\
                 schedule = {{ ramp_start = 0, ramp_end = 1 }}\nloss = {{ lambda = 0.1, eps_train = 0.1 }}\neval.eps = 0.1"
            ))
        };
        let (mut good, mut bad) = (0, 0);
        for kernel in [1, 3, 8, 33] {
            for stride in [1, 3, 16] {
                for (pad, dilation) in [(0, 1), (1, 4), (3, 2)] {
                    for groups in [1, 2, 3] {
                        let conv = format!(
                            "{{ outputs = 6, kernel = {kernel}, stride = {stride}, pad = {pad}, dilation = {dilation}"
                        );
                        let text = format!(
                            "depth = 3, width = 6, groups = {groups}, conv = [{conv} }}, {conv}, groups = {groups}, repeat = 2 }}]"
                        );
                        match with(&text) {
                            Ok(config) => {
                                NetShape::new(&config);
                                good += 1;
                            }
                            Err(error) => {
                                let model = Model {
                                    groups,
                                    conv: [(1, 1), (groups, 2)]
                                        .map(|(groups, repeat)| Conv {
                                            outputs: 6,
                                            kernel,
                                            stride,
                                            pad,
                                            dilation,
                                            groups,
                                            repeat,
                                        })
                                        .to_vec(),
                                    ..model(3, 6, None)
                                };
                                assert!(NetShape::build(&model, CIFAR, 10).is_err(), "{text}: {error}");
                                bad += 1;
                            }
                        }
                    }
                }
            }
        }
        assert!(good > 10 && bad > 10, "{good} good, {bad} bad");
    }

    #[test]
    fn nothing_is_no_net() {
        assert_eq!(NetShape::build(&model(0, 32, None), GREY, 10).unwrap_err(), ShapeError::NoLayers);
        assert_eq!(NetShape::build(&model(0, 32, Some(5)), GREY, 10).unwrap_err(), ShapeError::NoLayers);
        let conv = Model { conv: trunk(), ..model(0, 32, None) };
        assert_eq!(NetShape::build(&conv, GREY, 10).unwrap_err(), ShapeError::NoLayers);
    }
}
