//! A sentence encoder in ONNX form, run by rten on the processor.

use std::path::Path;

use rten::{Model, ModelOptions, NodeId, RunOptions, ShapeInferenceMode, Value};
use rten_tensor::{AsView, Layout, NdTensor, NdTensorView};

use super::cores::{Call, Cores};
use super::tokens::{self, Tokens};
use super::{DIMENSION_MAX, EmbedError, Embedder, ModelId, normalized};

/// How the vectors of a text's tokens become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// The mean over the text's own tokens.
    Mean,
    /// The vector of the first token.
    First,
}

/// A loaded model with its tokenizer.
pub(super) struct OnnxEmbedder {
    id: ModelId,
    graph: Graph,
    tokens: Tokens,
    cores: Cores,
}

/// The model and how its inputs and outputs are used.
pub(super) struct Graph {
    model: Model,
    inputs: Vec<(NodeId, Input)>,
    output: NodeId,
    pooling: Pooling,
}

#[derive(Clone, Copy)]
enum Input {
    Ids,
    Mask,
    Types,
}

/// The ids of several texts in one rectangle.
struct Batch {
    shape: [usize; 2],
    ids: Vec<i32>,
    mask: Vec<i32>,
}

impl Graph {
    /// Reads a model from the bytes of a `model.onnx`.
    pub(super) fn load(bytes: Vec<u8>, pooling: Pooling) -> Result<Self, String> {
        let mut options = ModelOptions::with_all_ops();
        // Prepacked weights halve the time of a short text. Shape inference costs 15 ms of the
        // start and enables nothing here.
        options.prepack_weights(true).shape_inference(ShapeInferenceMode::Off);
        let model = options.load(bytes).map_err(|error| error.to_string())?;
        let inputs = model
            .input_ids()
            .iter()
            .map(|&id| Ok((id, Input::named(name(&model, id))?)))
            .collect::<Result<Vec<_>, String>>()?;
        if !inputs.iter().any(|(_, input)| matches!(input, Input::Ids)) {
            return Err("it has no input named input_ids".into());
        }
        let output = output(&model).ok_or("it has no output")?;
        Ok(Graph { model, inputs, output, pooling })
    }

    /// One vector per text of the batch, not yet scaled.
    fn run(&self, batch: &Batch, options: RunOptions) -> Result<Vec<Vec<f32>>, String> {
        let ids = NdTensorView::from_data(batch.shape, batch.ids.as_slice());
        let mask = NdTensorView::from_data(batch.shape, batch.mask.as_slice());
        let types = NdTensor::<i32, 2>::zeros(batch.shape);
        let inputs = self.inputs.iter().map(|&(node, input)| {
            let view = match input {
                Input::Ids => ids.view(),
                Input::Mask => mask.view(),
                Input::Types => types.view(),
            };
            (node, view.into())
        });
        let [value] = self
            .model
            .run_n(inputs.collect(), [self.output], Some(options))
            .map_err(|error| error.to_string())?;
        self.pool(value, batch)
    }

    fn pool(&self, value: Value, batch: &Batch) -> Result<Vec<Vec<f32>>, String> {
        let shape = value.shape().to_vec();
        let Value::FloatTensor(tensor) = value else {
            return Err("its output holds no floating-point numbers".into());
        };
        let numbers = tensor.into_data();
        let [texts, length] = batch.shape;
        match shape[..] {
            [rows, columns, dimension] if [rows, columns] == batch.shape && dimension > 0 => {
                let rows = numbers.chunks_exact(length * dimension);
                let masks = batch.mask.chunks_exact(length);
                Ok(rows.zip(masks).map(|(row, mask)| self.pooling.of(row, mask)).collect())
            }
            [rows, dimension] if rows == texts && dimension > 0 => {
                Ok(numbers.chunks_exact(dimension).map(<[f32]>::to_vec).collect())
            }
            _ => Err(format!("its output has the shape {shape:?} for {texts} texts")),
        }
    }
}

impl Input {
    fn named(name: &str) -> Result<Self, String> {
        match name {
            "input_ids" => Ok(Input::Ids),
            "attention_mask" => Ok(Input::Mask),
            "token_type_ids" => Ok(Input::Types),
            _ => Err(format!("its input \"{name}\" is not known")),
        }
    }
}

impl Pooling {
    /// The vector of one text from its tokens' vectors, not yet scaled.
    fn of(self, tokens: &[f32], mask: &[i32]) -> Vec<f32> {
        let dimension = tokens.len() / mask.len();
        let mut rows = tokens.chunks_exact(dimension).zip(mask).filter(|&(_, &real)| real == 1);
        let mut sum = rows.next().map_or_else(|| vec![0.0; dimension], |(row, _)| row.to_vec());
        if self == Pooling::Mean {
            // The mean's divisor would cancel when the vector is scaled to length one.
            for (row, _) in rows {
                sum.iter_mut().zip(row).for_each(|(total, x)| *total += x);
            }
        }
        sum
    }
}

impl Batch {
    fn new(texts: &[&[i32]]) -> Self {
        let length = texts.iter().map(|ids| ids.len()).max().unwrap_or_default();
        let mut batch = Batch { shape: [texts.len(), length], ids: vec![], mask: vec![] };
        for text in texts {
            batch.ids.extend_from_slice(text);
            batch.mask.resize(batch.ids.len(), 1);
            let padded = batch.ids.len() + length - text.len();
            batch.ids.resize(padded, 0);
            batch.mask.resize(padded, 0);
        }
        batch
    }
}

impl OnnxEmbedder {
    /// A model whose dimension is known.
    pub(super) fn new(id: ModelId, graph: Graph, tokens: Tokens) -> Self {
        OnnxEmbedder { id, graph, tokens, cores: Cores::new() }
    }

    /// A model whose dimension a first run finds out.
    pub(super) fn probed(
        name: String,
        path: &Path,
        graph: Graph,
        tokens: Tokens,
    ) -> Result<Self, EmbedError> {
        let mut embedder = Self::new(ModelId { name, dimension: 0 }, graph, tokens);
        let unusable = |reason| EmbedError::Unusable { path: path.to_path_buf(), reason };
        let ids = embedder.encode("dimension")?;
        let vectors = embedder.run(&[&ids], &embedder.cores.enter()).map_err(unusable)?;
        let dimension = vectors[0].len();
        if dimension > DIMENSION_MAX {
            let reason = format!("its dimension {dimension} is above {DIMENSION_MAX}");
            return Err(unusable(reason));
        }
        embedder.id.dimension = dimension;
        Ok(embedder)
    }

    fn encode(&self, text: &str) -> Result<Vec<i32>, EmbedError> {
        self.tokens.encode(text).map_err(|error| self.failed(error.to_string()))
    }

    fn run(&self, texts: &[&[i32]], call: &Call<'_>) -> Result<Vec<Vec<f32>>, String> {
        let batch = Batch::new(texts);
        call.run(|options| self.graph.run(&batch, options))
    }

    fn failed(&self, reason: String) -> EmbedError {
        EmbedError::Failed { model: self.id.name.clone(), reason }
    }
}

impl Embedder for OnnxEmbedder {
    fn model(&self) -> &ModelId {
        &self.id
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let call = self.cores.enter();
        let ids: Vec<Vec<i32>> =
            texts.iter().map(|text| self.encode(text)).collect::<Result<_, _>>()?;
        let lengths: Vec<usize> = ids.iter().map(Vec::len).collect();
        let mut vectors = vec![Vec::new(); texts.len()];
        for run in tokens::runs(&lengths) {
            let rows: Vec<&[i32]> = run.iter().map(|&index| ids[index].as_slice()).collect();
            let found = self.run(&rows, &call).map_err(|reason| self.failed(reason))?;
            for (&index, vector) in run.iter().zip(found) {
                let unit = normalized(vector).filter(|unit| unit.len() == self.id.dimension);
                vectors[index] =
                    unit.ok_or_else(|| self.failed("it made a vector without direction".into()))?;
            }
        }
        Ok(vectors)
    }
}

/// The output to use: a ready sentence vector where the model has one, else its token vectors.
fn output(model: &Model) -> Option<NodeId> {
    let named = |wanted| model.output_ids().iter().find(|&&id| name(model, id) == wanted);
    ["sentence_embedding", "last_hidden_state", "token_embeddings"]
        .into_iter()
        .find_map(named)
        .or(model.output_ids().first())
        .copied()
}

fn name(model: &Model, id: NodeId) -> &str {
    model.node_info(id).and_then(|node| node.name()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_marks_real_tokens_and_pads_the_rest() {
        let batch = Batch::new(&[&[7, 8, 9], &[5]]);
        assert_eq!(batch.shape, [2, 3]);
        assert_eq!(batch.ids, [7, 8, 9, 5, 0, 0]);
        assert_eq!(batch.mask, [1, 1, 1, 1, 0, 0]);
    }

    #[test]
    fn pooling_leaves_padding_out() {
        let tokens = [1.0, 2.0, 3.0, 4.0, 100.0, 100.0];
        assert_eq!(Pooling::Mean.of(&tokens, &[1, 1, 0]), [4.0, 6.0]);
        assert_eq!(Pooling::First.of(&tokens, &[1, 1, 0]), [1.0, 2.0]);
        assert_eq!(Pooling::Mean.of(&tokens, &[0, 0, 0]), [0.0, 0.0]);
    }

    #[test]
    fn bytes_that_are_no_model_are_refused() {
        for bytes in [&b""[..], b"hello", &[0x0a; 64]] {
            assert!(Graph::load(bytes.to_vec(), Pooling::Mean).is_err(), "{bytes:?}");
        }
    }
}
