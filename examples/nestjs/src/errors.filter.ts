import { ArgumentsHost, Catch, ExceptionFilter, HttpException } from '@nestjs/common';

// Class 22 of SQLSTATE is bad input. The message is shown for the sake of the example: keep it in the log.
@Catch()
export class ErrorsFilter implements ExceptionFilter {
  catch(error: Error & { code?: string }, host: ArgumentsHost) {
    const status = error instanceof HttpException ? error.getStatus() : error.code?.startsWith('22') ? 400 : 500;
    host.switchToHttp().getResponse().status(status).json({ error: error.message });
  }
}
