import { CanActivate, ExecutionContext, Injectable, UnauthorizedException } from '@nestjs/common';

// STAND-IN for authentication, which must find out by itself who asks: never trust such headers from outside.
@Injectable()
export class IdentityGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest();
    const [tenant, user] = [request.get('X-Tenant'), request.get('X-User')];
    if (!tenant || !user) throw new UnauthorizedException('who are you?');
    request.identity = { tenant, user };
    return true;
  }
}
