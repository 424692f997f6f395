// Another service asks for digits, in Go with TensorFlow Serving's own messages.
//
//	go run predict.go HOST:PORT IMAGE...
//
// The packages below come from tensorflow_serving/apis/*.proto and tensorflow/core/framework/*.proto, compiled by protoc
// with protoc-gen-go and protoc-gen-go-grpc. Prints a line for each image: path, digit, confidence, error.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	framework "github.com/tensorflow/tensorflow/tensorflow/go/core/framework/tensor_go_proto"
	shape "github.com/tensorflow/tensorflow/tensorflow/go/core/framework/tensor_shape_go_proto"
	types "github.com/tensorflow/tensorflow/tensorflow/go/core/framework/types_go_proto"
	apis "tensorflow_serving/apis"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: predict HOST:PORT IMAGE...")
	}
	address, paths := os.Args[1], os.Args[2:]

	var images [][]byte
	for _, path := range paths {
		image, err := os.ReadFile(path)
		if err != nil {
			log.Fatal(err)
		}
		images = append(images, image)
	}

	// Without round_robin, all calls go to the first address that a name stands for.
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	response, err := apis.NewPredictionServiceClient(connection).Predict(ctx, &apis.PredictRequest{
		ModelSpec: &apis.ModelSpec{Name: "digits", SignatureName: "serving_default"},
		Inputs: map[string]*framework.TensorProto{"image_bytes": {
			Dtype:       types.DataType_DT_STRING,
			TensorShape: &shape.TensorShapeProto{Dim: []*shape.TensorShapeProto_Dim{{Size: int64(len(images))}}},
			StringVal:   images,
		}},
		// Ask for what is needed: TensorFlow Serving prepares each set of outputs on its own.
		OutputFilter: []string{"digit", "confidence", "error"},
	})
	if err != nil {
		log.Fatal(err)
	}
	for i, path := range paths {
		fmt.Println(path, response.Outputs["digit"].Int64Val[i], response.Outputs["confidence"].FloatVal[i],
			string(response.Outputs["error"].StringVal[i]))
	}
}
