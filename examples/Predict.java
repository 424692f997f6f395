import com.google.protobuf.ByteString;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.tensorflow.framework.DataType;
import org.tensorflow.framework.TensorProto;
import org.tensorflow.framework.TensorShapeProto;
import tensorflow.serving.Model.ModelSpec;
import tensorflow.serving.Predict.PredictRequest;
import tensorflow.serving.Predict.PredictResponse;
import tensorflow.serving.PredictionServiceGrpc;

/**
 * Another service asks for digits, in Java with TensorFlow Serving's own messages.
 *
 * <p>The classes come from tensorflow_serving/apis/*.proto and tensorflow/core/framework/*.proto, compiled by protoc with
 * grpc-java's plugin. Prints a line for each image: path, digit, confidence, error.
 */
public final class Predict {
  public static void main(String[] arguments) throws Exception {
    if (arguments.length < 2) {
      System.err.println("usage: Predict HOST:PORT IMAGE...");
      System.exit(2);
    }
    int count = arguments.length - 1;
    TensorProto.Builder images =
        TensorProto.newBuilder()
            .setDtype(DataType.DT_STRING)
            .setTensorShape(
                TensorShapeProto.newBuilder().addDim(TensorShapeProto.Dim.newBuilder().setSize(count)));
    for (int i = 1; i <= count; i++) {
      images.addStringVal(ByteString.copyFrom(Files.readAllBytes(Path.of(arguments[i]))));
    }
    PredictRequest request =
        PredictRequest.newBuilder()
            .setModelSpec(ModelSpec.newBuilder().setName("digits").setSignatureName("serving_default"))
            .putInputs("image_bytes", images.build())
            // Ask for what is needed: TensorFlow Serving prepares each set of outputs on its own.
            .addOutputFilter("digit")
            .addOutputFilter("confidence")
            .addOutputFilter("error")
            .build();

    // Without round_robin, all calls go to the first address that a name stands for.
    ManagedChannel channel =
        ManagedChannelBuilder.forTarget(arguments[0]).defaultLoadBalancingPolicy("round_robin").usePlaintext().build();
    try {
      PredictResponse response =
          PredictionServiceGrpc.newBlockingStub(channel).withDeadlineAfter(10, TimeUnit.SECONDS).predict(request);
      for (int i = 0; i < count; i++) {
        System.out.printf(
            "%s %d %.4f %s%n",
            arguments[i + 1],
            response.getOutputsOrThrow("digit").getInt64Val(i),
            response.getOutputsOrThrow("confidence").getFloatVal(i),
            response.getOutputsOrThrow("error").getStringVal(i).toStringUtf8());
      }
    } finally {
      channel.shutdownNow();
    }
  }
}
