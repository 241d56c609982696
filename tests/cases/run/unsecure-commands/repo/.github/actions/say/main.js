console.log('::set-env name=SAID::said');
