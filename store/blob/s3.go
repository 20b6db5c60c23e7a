package blob

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // see hasMD5
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"
)

// ownerKey is the object that says which data folder a bucket belongs to.
const ownerKey = "detectd-folder"

// bucket keeps blobs as objects.
type bucket struct{ *blob.Bucket }

var _ driver = bucket{}

func openS3(ctx context.Context, u *url.URL) (*Store, error) {
	options := u.Query()
	for name := range options {
		switch name {
		case "endpoint", "region", "credentials":
		default:
			return nil, fmt.Errorf("unknown option %q of an s3 URL; there are endpoint, region and credentials", name)
		}
	}
	if u.User != nil || u.Host == "" || u.Fragment != "" {
		return nil, errors.New("an s3 URL is s3://BUCKET or s3://BUCKET/PREFIX; keys come from the environment or from the file that credentials=FILE names")
	}
	var load []func(*config.LoadOptions) error
	if file := options.Get("credentials"); file != "" {
		if _, err := os.Stat(file); err != nil {
			return nil, err
		}
		load = append(load, config.WithSharedCredentialsFiles([]string{file}))
	}
	if region := options.Get("region"); region != "" {
		load = append(load, config.WithRegion(region))
	}
	settings, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, err
	}
	endpoint := options.Get("endpoint")
	client := s3.NewFromConfig(settings, func(o *s3.Options) {
		if o.Region == "" {
			o.Region = "us-east-1"
		}
		if endpoint != "" { // other servers know neither buckets as host names nor Amazon's newest checksums
			o.BaseEndpoint, o.UsePathStyle = aws.String(endpoint), true
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
	})
	b, err := s3blob.OpenBucket(ctx, client, u.Host, &s3blob.Options{RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired})
	if err != nil {
		return nil, err
	}
	if prefix := strings.Trim(u.Path, "/"); prefix != "" {
		b = blob.PrefixedBucket(b, prefix+"/")
	}
	if ok, err := b.IsAccessible(ctx); err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("bucket %q cannot be reached, or does not exist", u.Host), err, b.Close())
	}
	return &Store{bucket: b, driver: bucket{b}}, nil
}

// place implements driver. An object of the same name and size is not sent again,
// unless the server knows that its content is another.
func (b bucket) place(ctx context.Context, spooled *os.File, address string) error {
	info, err := spooled.Stat()
	if err != nil {
		return err
	}
	if there, err := b.Attributes(ctx, key(address)); err == nil && there.Size == info.Size() {
		same, err := hasMD5(spooled, there.MD5)
		if err != nil || same {
			return err
		}
	}
	if _, err := spooled.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return b.Upload(ctx, key(address), spooled, &blob.WriterOptions{ContentType: "application/octet-stream"})
}

// hasMD5 says whether a file has that sum; true where the sum is not known, as of
// objects that were sent in parts.
func hasMD5(file io.ReadSeeker, sum []byte) (bool, error) {
	if len(sum) == 0 {
		return true, nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	hash := md5.New() //nolint:gosec // finds damage, nothing is secured by it
	if _, err := io.Copy(hash, file); err != nil {
		return false, err
	}
	return bytes.Equal(hash.Sum(nil), sum), nil
}

// each implements driver.
func (b bucket) each(ctx context.Context, show func(key string, size int64) error) error {
	for list := b.List(nil); ; {
		o, err := list.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := show(o.Key, o.Size); err != nil {
			return err
		}
	}
}

// owner implements driver.
func (b bucket) owner(ctx context.Context) (string, error) {
	id, err := b.ReadAll(ctx, ownerKey)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return "", nil
	}
	return string(id), err
}

// bind implements driver.
func (b bucket) bind(ctx context.Context, id string) error {
	bound, err := b.owner(ctx)
	if err == nil && bound == "" {
		return b.WriteAll(ctx, ownerKey, []byte(id), nil)
	}
	if err == nil && bound != id {
		return fmt.Errorf("the bucket belongs to data folder %.36q, this is %s; use another bucket or prefix", bound, id)
	}
	return err
}
